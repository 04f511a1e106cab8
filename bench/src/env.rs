//! What every row needs: sizes, folders, binaries.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::load::Length;
use crate::rows::Row;

/// Benchmarks side by side with peers, in one run; writes docs/BENCHMARKS.md.
#[derive(Parser)]
pub(crate) struct Options {
    /// Only these rows.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Row>,
    /// Small sizes and short loops, to see whether the harness works. Writes no document.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Also what takes long: memory while a 4 GB file is ingested (1 GB otherwise), hnsw_rs, churn of
    /// 100,000 vectors (20,000 otherwise), a restart with 1,000,000 (100,000 otherwise), 2,000 texts beside
    /// float64 (200 otherwise).
    #[arg(long)]
    full: bool,
    /// Each side is measured so often, in turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the results go, section by section: what was not measured stays as it was.
    #[arg(long, value_name = "FILE", default_value = "docs/BENCHMARKS.md")]
    out: PathBuf,
    /// The platform's binaries [default: beside this one].
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) tpch_scale: &'static str,
    pub(crate) worker_rows: u64,
    pub(crate) wide_rows: u64,
    pub(crate) big_csv_bytes: u64,
    pub(crate) large_object_bytes: u64,
    pub(crate) small_objects: u64,
    pub(crate) datasets: u64,
    /// In-process, and where nothing else is said.
    pub(crate) vectors: usize,
    /// Beside Chroma's server.
    pub(crate) served_vectors: usize,
    /// Deleted and added again.
    pub(crate) churned_vectors: usize,
    /// There when the platform starts.
    pub(crate) kept_vectors: usize,
    /// How often each engine builds its index.
    pub(crate) index_builds: usize,
    /// The slowest peer of all.
    pub(crate) with_hnsw_rs: bool,
    /// Compared with float64.
    pub(crate) exact_texts: usize,
    /// Embedded beside the peers.
    pub(crate) embedded_texts: usize,
    /// How often, in turns.
    pub(crate) embedding_rounds: usize,
    /// Of the log of queries.
    pub(crate) replayed_queries: usize,
    /// Of the dataset that an index follows.
    pub(crate) followed_rows: usize,
    pub(crate) loops: Length,
}

const REAL: Sizes = Sizes {
    tpch_scale: "1",
    worker_rows: 500_000,
    wide_rows: 5_000_000,
    big_csv_bytes: 1_000_000_000,
    large_object_bytes: 1 << 30,
    small_objects: 10_000,
    datasets: 1_000,
    vectors: 100_000,
    served_vectors: 20_000,
    churned_vectors: 20_000,
    kept_vectors: 100_000,
    index_builds: 1,
    with_hnsw_rs: false,
    exact_texts: 200,
    embedded_texts: 1_000,
    embedding_rounds: 5,
    replayed_queries: 10_000,
    followed_rows: 10_000,
    loops: Length::For { warm_up: Duration::from_secs(2), measured: Duration::from_secs(8) },
};

const QUICK: Sizes = Sizes {
    tpch_scale: "0.05",
    worker_rows: 100_000,
    wide_rows: 500_000,
    big_csv_bytes: 100_000_000,
    large_object_bytes: 64 << 20,
    small_objects: 500,
    datasets: 50,
    vectors: 2_000,
    served_vectors: 1_000,
    churned_vectors: 1_000,
    kept_vectors: 2_000,
    index_builds: 1,
    with_hnsw_rs: false,
    exact_texts: 30,
    embedded_texts: 128,
    embedding_rounds: 1,
    replayed_queries: 1_000,
    followed_rows: 200,
    loops: Length::For { warm_up: Duration::from_millis(300), measured: Duration::from_secs(1) },
};

/// Shared by all rows.
pub(crate) struct Env {
    pub(crate) sizes: Sizes,
    pub(crate) rounds: usize,
    /// Of the platform's engine and of DuckDB in-process alike.
    pub(crate) threads: usize,
    /// What setup/bench-peers.sh made.
    pub(crate) peers: PathBuf,
    /// Inputs, kept between runs.
    pub(crate) inputs: PathBuf,
    /// Where results are written, if at all.
    pub(crate) out: Option<PathBuf>,
    /// Where the groups of peers lie.
    tools: PathBuf,
    binaries: PathBuf,
    work: tempfile::TempDir,
}

impl Env {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let cache = match std::env::var_os("LAKEHOUSE_CACHE") {
            Some(cache) => PathBuf::from(cache),
            None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache/lakehouse"),
        };
        let tools = cache.join("tools");
        let peers = group(&tools, "bench-peers")?;
        let inputs = cache.join("bench");
        std::fs::create_dir_all(&inputs)?;
        let binaries = match &options.binaries {
            Some(folder) => folder.canonicalize().with_context(|| format!("{} is not there", folder.display()))?,
            None => std::env::current_exe()?.parent().context("no folder")?.to_owned(),
        };
        let mut sizes = if options.quick { QUICK } else { REAL };
        if options.full {
            sizes.big_csv_bytes = 4_000_000_000;
            sizes.churned_vectors = 100_000;
            sizes.kept_vectors = 1_000_000;
            sizes.index_builds = 3;
            sizes.with_hnsw_rs = true;
            sizes.exact_texts = 2_000;
        }
        Ok(Env {
            sizes,
            rounds: options.rounds,
            threads: std::thread::available_parallelism()?.get(),
            peers,
            tools,
            // On the same disk as everything else that is compared.
            work: tempfile::Builder::new().prefix("run-").tempdir_in(&inputs)?,
            inputs,
            out: (!options.quick).then(|| options.out.clone()),
            binaries,
        })
    }

    /// Chroma, the engines beside ours, and NumPy.
    pub(crate) fn vector_peers(&self) -> Result<PathBuf> {
        group(&self.tools, "bench-peers-vectors")
    }

    /// ONNX Runtime and NumPy.
    pub(crate) fn encoder_peers(&self) -> Result<PathBuf> {
        group(&self.tools, "bench-peers-encoder")
    }

    /// The program of `bench/candle`.
    pub(crate) fn candle(&self) -> Result<PathBuf> {
        Ok(group(&self.tools, "bench-peers-candle")?.join("candle-peer"))
    }

    /// A binary of this workspace.
    pub(crate) fn binary(&self, name: &str) -> Result<PathBuf> {
        let binary = self.binaries.join(name);
        ensure!(binary.is_file(), "there is no {}: build it first", binary.display());
        Ok(binary)
    }

    /// A new empty folder that goes when the run ends.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(self.work.path())?;
        Ok(folder.keep())
    }

    /// The whole run's folder.
    pub(crate) fn work(&self) -> &Path {
        self.work.path()
    }
}

/// A group of peers.
fn group(tools: &Path, name: &str) -> Result<PathBuf> {
    let peers = tools.join(name);
    ensure!(peers.join(".installed").is_file(), "{} is not there: run setup/bench-peers.sh", peers.display());
    Ok(peers)
}
