//! all-MiniLM-L6-v2 and the texts, as everybody gets them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use encoder::{Model, Options, Overlong};

use crate::embeddings::reference::Reference;
use crate::embeddings::{exact, onnx, texts};
use crate::env::Env;

/// The tokens of a text, those that mark beginning and end included.
const TOKENS: std::ops::RangeInclusive<usize> = 5..=40;
/// The graphs that ONNX Runtime is tried with.
pub(crate) const GRAPHS: [&str; 2] = ["plain", "fused"];

/// Texts to embed, and what a runtime needs that is to do it.
pub(crate) struct Work {
    /// The model's folder.
    pub(crate) model: PathBuf,
    /// The graphs: see [`Work::graph`].
    folder: PathBuf,
    /// The token ids of all texts, in their order, as JSON.
    pub(crate) ids: PathBuf,
    pub(crate) texts: Vec<String>,
    /// Of all texts.
    pub(crate) tokens: usize,
}

/// Where `./just setup` put the model.
pub(crate) fn folder() -> Result<PathBuf> {
    testbed::minilm()?.canonicalize().context("all-MiniLM-L6-v2 is not there: run ./just setup")
}

impl Work {
    pub(crate) async fn prepare(env: &Env) -> Result<Arc<Self>> {
        let (model, folder, count) = (folder()?, env.folder("encoder")?, env.sizes.embedded_texts);
        let work = tokio::task::spawn_blocking(move || Self::write(model, folder, count)).await??;
        Ok(Arc::new(work))
    }

    fn write(folder_of_model: PathBuf, folder: PathBuf, count: usize) -> Result<Self> {
        let model = Model::open(&folder_of_model, &Options::default())?;
        let (texts, ids) = chosen(&model, count)?;
        let reference = Reference::open(&folder_of_model);
        for graph in GRAPHS {
            std::fs::write(graph_file(&folder, graph), onnx::export(&reference, graph == "fused"))?;
        }
        let file = folder.join("ids.json");
        std::fs::write(&file, serde_json::to_vec(&ids)?)?;
        let tokens = ids.iter().map(Vec::len).sum();
        Ok(Work { model: folder_of_model, folder, ids: file, texts, tokens })
    }

    /// The model as a graph: of standard operators, or of ONNX Runtime's own.
    pub(crate) fn graph(&self, name: &str) -> PathBuf {
        graph_file(&self.folder, name)
    }
}

fn graph_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.onnx"))
}

/// Varied texts of 5 to 40 tokens, with their ids.
fn chosen(model: &Model, count: usize) -> Result<(Vec<String>, Vec<Vec<u32>>)> {
    let mut chosen = (Vec::with_capacity(count), Vec::with_capacity(count));
    for text in texts::short(2 * count) {
        let ids = model.tokenize(&text, Overlong::Cut)?.ids;
        if TOKENS.contains(&ids.len()) && chosen.0.len() < count {
            chosen.0.push(text);
            chosen.1.push(ids);
        }
    }
    ensure!(chosen.0.len() == count, "only {} texts have {TOKENS:?} tokens", chosen.0.len());
    Ok(chosen)
}

/// The least cosine to float64 over varied texts of 1 to about 400 tokens, and strange ones.
pub(crate) async fn least_cosine(count: usize, threads: usize) -> Result<f64> {
    let folder = folder()?;
    let work = move || {
        let model = Model::open(&folder, &Options::default())?;
        Ok(exact::least_cosine(&model, &Reference::open(&folder), "mean", &texts::varied(count), threads))
    };
    tokio::task::spawn_blocking(work).await?
}
