//! Where a body waits on disk until it is read: bounded in all, private, gone with its request.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::gauge::Gauge;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::error::{Error, Result};

const SUFFIX: &str = "spooled";
/// One write: large enough that handing it to the blocking pool costs nothing.
const WRITE_BYTES: usize = 1 << 20;
/// Enough of a file to tell its format.
const HEAD_BYTES: usize = 4_096;

/// The folder, and how much of it is in use.
pub(crate) struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    used_bytes: AtomicU64,
    /// The same, for metrics.
    gauge: Gauge,
}

impl Spool {
    /// Makes the folder and removes what an earlier process left in it. Blocks.
    pub(crate) fn open(folder: &Path, bytes_max: u64, gauge: Gauge) -> io::Result<Arc<Self>> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let folder = folder.canonicalize()?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == SUFFIX) {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed?;
                tracing::info!(path = %path.display(), "removed what an earlier process left in the spool");
            }
        }
        Ok(Arc::new(Spool { folder, bytes_max, used_bytes: AtomicU64::new(0), gauge }))
    }

    /// A new, empty file.
    pub(crate) async fn create(self: &Arc<Self>) -> Result<SpoolWriter> {
        let path = self.folder.join(format!("{}.{SUFFIX}", Uuid::now_v7().simple()));
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let opened = tokio::fs::OpenOptions::from(options).open(&path).await;
        let mut file = opened.map_err(Error::spool)?;
        file.set_max_buf_size(WRITE_BYTES);
        let kept = Spooled { path, bytes: 0, head: Vec::new(), spool: self.clone() };
        Ok(SpoolWriter { file, buffer: Vec::with_capacity(WRITE_BYTES), kept })
    }

    /// A name for a folder where DuckDB may put what does not fit in memory.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join(format!("{}.{SUFFIX}", Uuid::now_v7().simple()))
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        let grown = |used: u64| used.checked_add(bytes).filter(|&total| total <= self.bytes_max);
        match self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(_) => {
                self.gauge.inc_by(bytes as i64);
                Ok(())
            }
            Err(_) => Err(Error::SpoolFull),
        }
    }
}

/// A file being filled.
pub(crate) struct SpoolWriter {
    file: tokio::fs::File,
    buffer: Vec<u8>,
    kept: Spooled,
}

impl SpoolWriter {
    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.kept.bytes
    }

    pub(crate) async fn write(&mut self, mut chunk: &[u8]) -> Result<()> {
        self.kept.spool.reserve(chunk.len() as u64)?;
        self.kept.bytes += chunk.len() as u64;
        let head = HEAD_BYTES.saturating_sub(self.kept.head.len()).min(chunk.len());
        self.kept.head.extend_from_slice(&chunk[..head]);
        while !chunk.is_empty() {
            let taken = (WRITE_BYTES - self.buffer.len()).min(chunk.len());
            self.buffer.extend_from_slice(&chunk[..taken]);
            chunk = &chunk[taken..];
            if self.buffer.len() == WRITE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Spooled> {
        self.flush().await?;
        self.file.flush().await.map_err(Error::spool)?;
        Ok(self.kept)
    }

    async fn flush(&mut self) -> Result<()> {
        self.file.write_all(&self.buffer).await.map_err(Error::spool)?;
        self.buffer.clear();
        Ok(())
    }
}

/// A file of the spool; removed on drop.
pub(crate) struct Spooled {
    path: PathBuf,
    bytes: u64,
    head: Vec<u8>,
    spool: Arc<Spool>,
}

impl Spooled {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its first bytes.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.spool.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.spool.gauge.dec_by(self.bytes as i64);
        let path = std::mem::take(&mut self.path);
        let remove = move || {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a spooled file stays behind");
            }
        };
        // Giving back the blocks of a large file takes a while.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_lives_as_long_as_its_request_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let gauge = Gauge::default();
        let spool = Spool::open(folder.path(), 10, gauge.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let spooled = runtime.block_on(async {
            let mut writer = spool.create().await.unwrap();
            writer.write(b"0123456789").await.unwrap();
            assert!(matches!(writer.write(b"x").await, Err(Error::SpoolFull)));
            writer.finish().await.unwrap()
        });
        assert_eq!(fs::read(spooled.path()).unwrap(), b"0123456789");
        assert_eq!((spooled.head(), gauge.get()), (&b"0123456789"[..], 10));
        drop(spooled);
        assert_eq!((files(folder.path()), gauge.get()), (0, 0));
    }

    #[test]
    fn what_an_earlier_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.spooled"), "x").unwrap();
        fs::create_dir(folder.path().join("b.spooled")).unwrap();
        fs::write(folder.path().join("mine.txt"), "x").unwrap();
        Spool::open(folder.path(), 10, Gauge::default()).unwrap();
        assert_eq!(files(folder.path()), 1);
    }
}
