//! The data that all engines get: clustered vectors, queries, and what is truly nearest to those.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::env::Env;
use crate::vectors::K;

const PROGRAM: &str = include_str!("../../python/vector_data.py");

/// A set of vectors of unit length, made once and kept (`vector_data.py`).
pub(crate) struct Set {
    /// Where its files lie, for peers to read them.
    pub(crate) folder: PathBuf,
    pub(crate) dimension: usize,
    /// For each query the rows of its ten nearest items.
    pub(crate) truth: Vec<Vec<u32>>,
    base: Vec<f32>,
    query: Vec<f32>,
}

impl Set {
    /// Reads it, after making it where it is not there.
    pub(crate) async fn load(env: &Env, items: usize, dimension: usize) -> Result<Self> {
        let folder = env.inputs.join(format!("vectors-{items}x{dimension}"));
        if !folder.is_dir() {
            let part = env.folder("vectors")?;
            let mut generate = Command::new("python3");
            generate.args(["-c", PROGRAM]).arg(&part).env("PYTHONPATH", env.vector_peers()?).kill_on_drop(true);
            generate.args(["--items", &items.to_string(), "--dimension", &dimension.to_string()]);
            let status = generate.status().await.context("cannot start python3")?;
            ensure!(status.success(), "vector_data.py ended with {status}");
            fs::rename(part, &folder)?;
        }
        let set = Self::read(folder, dimension)?;
        ensure!(set.len() == items, "{} has {} vectors", set.folder.display(), set.len());
        Ok(set)
    }

    fn read(folder: PathBuf, dimension: usize) -> Result<Self> {
        let base = words(&folder.join("base.f32"), f32::from_le_bytes)?;
        let query = words(&folder.join("query.f32"), f32::from_le_bytes)?;
        let truth = words(&folder.join("truth.i32"), u32::from_le_bytes)?;
        ensure!(truth.len() / K == query.len() / dimension, "{} does not fit together", folder.display());
        let truth = truth.chunks(K).map(<[u32]>::to_vec).collect();
        Ok(Set { folder, dimension, truth, base, query })
    }

    /// Of items that are queries too, without truth.
    #[cfg(test)]
    pub(crate) fn of(dimension: usize, base: Vec<f32>) -> Self {
        Set { folder: PathBuf::new(), dimension, truth: Vec::new(), query: base.clone(), base }
    }

    pub(crate) fn len(&self) -> usize {
        self.base.len() / self.dimension
    }

    pub(crate) fn item(&self, row: usize) -> &[f32] {
        &self.base[row * self.dimension..][..self.dimension]
    }

    pub(crate) fn queries(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.query.chunks(self.dimension)
    }

    /// Its rows, batch by batch.
    pub(crate) fn batches(&self, size: usize) -> impl Iterator<Item = Range<usize>> {
        let len = self.len();
        (0..len).step_by(size).map(move |first| first..len.min(first + size))
    }

    /// What the items take as plain f32.
    pub(crate) fn raw_bytes(&self) -> usize {
        size_of_val(self.base.as_slice())
    }
}

fn words<T>(file: &Path, read: fn([u8; 4]) -> T) -> Result<Vec<T>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(bytes.as_chunks().0.iter().map(|word| read(*word)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_do_not_fit_together_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |count: usize| 1.0_f32.to_le_bytes().repeat(count);
        let write = |name: &str, count: usize| fs::write(folder.path().join(name), bytes(count)).unwrap();
        write("base.f32", 6);
        write("query.f32", 2);
        write("truth.i32", K);
        let set = Set::read(folder.path().to_owned(), 2).unwrap();
        assert_eq!((set.len(), set.queries().len(), set.raw_bytes()), (3, 1, 24));
        assert_eq!(set.batches(2).collect::<Vec<_>>(), [0..2, 2..3]);
        write("query.f32", 4);
        assert!(Set::read(folder.path().to_owned(), 2).is_err());
    }
}
