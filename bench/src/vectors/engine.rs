//! Engines without a server: ours in this process, its peers each in a Python process of its own.

use std::sync::Arc;
use std::time::Instant;

use ann::hnsw_rs::HnswRs;
use ann::lake::Lake;
use ann::{Engine, Hit, Key, Metric, Options, Search, Vector};
use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::env::Env;
use crate::program::Program;
use crate::vectors::{BATCH, EF_CONSTRUCTION, K, M, Set, truth};

const PROGRAM: &str = include_str!("../../python/vector_peer.py");

/// Threads that build, in every engine.
pub(crate) const BUILD_THREADS: usize = 2;

/// What all queries of the set took, one after the other on one thread.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Run {
    pub(crate) queries: usize,
    pub(crate) recall: f64,
    pub(crate) seconds: f64,
    /// Of the processor; peers do not say.
    #[serde(default)]
    pub(crate) cpu_seconds: f64,
}

/// Makes an empty engine of a dimension.
pub(crate) type Make = fn(usize, Options) -> Result<Box<dyn Engine>>;

/// The default engine.
pub(crate) fn lake(dimension: usize, options: Options) -> Result<Box<dyn Engine>> {
    Ok(Box::new(Lake::new(Metric::Cosine, dimension, options)?))
}

/// The engine that wraps the crate hnsw_rs.
pub(crate) fn hnsw_rs(dimension: usize, options: Options) -> Result<Box<dyn Engine>> {
    Ok(Box::new(HnswRs::new(Metric::Cosine, dimension, options)?))
}

/// An engine behind our own port.
pub(crate) struct Ours {
    make: Make,
    set: Arc<Set>,
    engine: Option<Arc<dyn Engine>>,
}

impl Ours {
    pub(crate) fn new(set: &Arc<Set>, make: Make) -> Self {
        Ours { make, set: set.clone(), engine: None }
    }

    /// Builds the index anew; seconds.
    pub(crate) async fn build(&mut self) -> Result<f64> {
        self.engine = None;
        let (make, set) = (self.make, self.set.clone());
        let built = tokio::task::spawn_blocking(move || build(make, &set)).await?;
        let (engine, seconds) = built?;
        self.engine = Some(engine);
        Ok(seconds)
    }

    /// All queries of the set.
    pub(crate) async fn search(&self, ef: usize) -> Result<Run> {
        let engine = self.engine.clone().context("not built yet")?;
        let set = self.set.clone();
        tokio::task::spawn_blocking(move || search(&*engine, &set, ef)).await?
    }
}

fn build(make: Make, set: &Set) -> Result<(Arc<dyn Engine>, f64)> {
    let rows = (0..set.len()).map(|row| Ok((row as Key, Vector::parse(Metric::Cosine, set.item(row).to_vec())?)));
    let items: Vec<(Key, Vector)> = rows.collect::<Result<_>>()?;
    let options = Options { m: M, ef_construction: EF_CONSTRUCTION, threads: BUILD_THREADS };
    let started = Instant::now();
    let engine = make(set.dimension, options)?;
    for batch in items.chunks(BATCH) {
        engine.insert(batch)?;
    }
    while engine.index(usize::MAX)? > 0 {}
    Ok((engine.into(), started.elapsed().as_secs_f64()))
}

fn search(engine: &dyn Engine, set: &Set, ef: usize) -> Result<Run> {
    let queries = set.queries().map(|query| Ok(Vector::parse(Metric::Cosine, query.to_vec())?));
    let queries: Vec<Vector> = queries.collect::<Result<_>>()?;
    let mut hits: Vec<Hit> = Vec::with_capacity(K + ann::TIES_MAX);
    let mut found: Vec<Vec<u32>> = Vec::with_capacity(queries.len());
    let (cpu, started) = (thread_seconds(), Instant::now());
    for vector in &queries {
        engine.search(&Search { vector, k: K, ef, filter: None, exact: false }, &mut hits)?;
        found.push(hits.iter().take(K).map(|hit| hit.key).collect());
    }
    let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), thread_seconds() - cpu);
    Ok(Run { queries: queries.len(), recall: truth::recall(&found, &set.truth), seconds, cpu_seconds })
}

/// What this thread has had of the processor.
fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// An engine of others (`vector_peer.py`).
pub(crate) struct Peer(Program);

impl Peer {
    /// Its process, with the data read and nothing built.
    pub(crate) async fn open(env: &Env, set: &Set, engine: &'static str) -> Result<Self> {
        let mut program = Program::python(engine, PROGRAM, &env.vector_peers()?)?;
        let command = json!({
            "do": "open", "engine": engine, "data": set.folder, "dimension": set.dimension, "m": M,
            "ef_construction": EF_CONSTRUCTION, "threads": BUILD_THREADS, "folder": env.work(),
        });
        let _: Value = program.call(command).await?;
        Ok(Peer(program))
    }

    /// Builds the index anew; seconds.
    pub(crate) async fn build(&mut self) -> Result<f64> {
        let run: Value = self.0.call(json!({"do": "build"})).await?;
        run["seconds"].as_f64().context("no seconds")
    }

    /// All queries of the set; `setting` is what this engine has beside ef.
    pub(crate) async fn search(&mut self, ef: usize, setting: Option<f64>) -> Result<Run> {
        self.0.call(json!({"do": "search", "ef": ef, "setting": setting})).await
    }

    /// Ends it; what it keeps on disk goes.
    pub(crate) async fn close(mut self) -> Result<()> {
        let _: Value = self.0.call(json!({"do": "close"})).await?;
        Ok(())
    }
}
