//! Runtimes without a server, each in a process of its own, at the setting that is fastest for the work.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::embeddings::work::{GRAPHS, Work};
use crate::env::Env;
use crate::program::Program;

const ONNX_RUNTIME: &str = include_str!("../../python/encoder_peer.py");
/// Of so many texts one is enough to choose a setting, and for a peer of which an exact figure is not needed.
const SAMPLED: usize = 4;
/// Each setting is tried so often.
const TRIES: usize = 2;

/// What texts took, by the peer's own clock.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Run {
    texts: u32,
    seconds: f64,
    cpu_seconds: f64,
}

impl Run {
    /// Texts per second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.texts) / self.seconds
    }

    /// Of the processor, for each text.
    pub(crate) fn cpu_ms(&self) -> f64 {
        1e3 * self.cpu_seconds / f64::from(self.texts)
    }
}

/// One way to use the runtime, in a process that is ready.
struct Setting {
    name: String,
    /// Batches that it has at a time.
    workers: usize,
    program: Program,
    /// The batch sizes that were tried, and the best rate of each.
    tried: Vec<(usize, f64)>,
}

impl Setting {
    async fn encode(&mut self, batch: usize, every: usize) -> Result<Run> {
        self.program.call(json!({"do": "encode", "batch": batch, "every": every})).await
    }
}

/// A runtime in all the settings that may be its best.
pub(crate) struct Peer {
    settings: Vec<Setting>,
    every: usize,
}

/// Which setting, with which batches.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    setting: usize,
    batch: usize,
    /// For people.
    pub(crate) name: String,
}

impl Peer {
    /// ONNX Runtime: over each graph, with as many threads as there are cores in one worker, and as one-thread workers.
    pub(crate) async fn onnx_runtime(env: &Env, work: &Work) -> Result<Self> {
        let mut settings = Vec::new();
        for graph in GRAPHS {
            for (workers, threads) in [(1, env.threads), (env.threads, 1)] {
                let mut program = Program::python("ONNX Runtime", ONNX_RUNTIME, &env.encoder_peers()?)?;
                let open = json!({
                    "do": "open", "graph": work.graph(graph), "ids": work.ids, "threads": threads, "workers": workers,
                });
                let _: Value = program.call(open).await?;
                settings.push(Setting { name: setting(graph, workers, threads), workers, program, tried: Vec::new() });
            }
        }
        Ok(Peer { settings, every: 1 })
    }

    /// candle, likewise.
    pub(crate) async fn candle(env: &Env, work: &Work) -> Result<Self> {
        let mut settings = Vec::new();
        for (workers, threads) in [(1, env.threads), (env.threads, 1)] {
            let mut command = Command::new(env.candle()?);
            let mut program = Program::start("candle", command.env("RAYON_NUM_THREADS", threads.to_string()))?;
            let open = json!({"do": "open", "folder": work.model, "ids": work.ids, "workers": workers});
            let _: Value = program.call(open).await?;
            settings.push(Setting { name: setting("", workers, threads), workers, program, tried: Vec::new() });
        }
        Ok(Peer { settings, every: SAMPLED })
    }

    /// Tries every setting with every size of batches.
    pub(crate) async fn try_all(&mut self, batches: &[usize]) -> Result<()> {
        for setting in &mut self.settings {
            for batch in batches {
                let mut best = 0.0_f64;
                for _ in 0..TRIES {
                    best = best.max(setting.encode(*batch, SAMPLED).await?.rate());
                }
                setting.tried.push((*batch, best));
            }
        }
        Ok(())
    }

    /// The fastest with one of these sizes and so many batches at a time, or fewer, of those that were tried.
    pub(crate) fn best(&self, batches: &[usize], at_once_max: usize) -> Result<Choice> {
        let settings = self.settings.iter().enumerate().filter(|(_, setting)| setting.workers <= at_once_max);
        let tried = settings.flat_map(|(at, setting)| {
            let allowed = setting.tried.iter().filter(|(batch, _)| batches.contains(batch));
            allowed.map(move |(batch, rate)| (at, *batch, *rate))
        });
        let (setting, batch, _) = tried.max_by(|a, b| a.2.total_cmp(&b.2)).context("nothing was tried")?;
        let mut name = self.settings[setting].name.clone();
        if batches.len() > 1 {
            name = format!("{name}, batches of {batch}");
        }
        Ok(Choice { setting, batch, name })
    }

    pub(crate) async fn encode(&mut self, choice: &Choice) -> Result<Run> {
        let every = self.every;
        self.settings[choice.setting].encode(choice.batch, every).await
    }

    /// The mean of a text's tokens, of each setting.
    pub(crate) async fn vectors(&mut self, text: usize) -> Result<Vec<Vec<f32>>> {
        let mut vectors = Vec::new();
        for setting in &mut self.settings {
            vectors.push(setting.program.call(json!({"do": "vector", "text": text})).await?);
        }
        Ok(vectors)
    }
}

fn setting(graph: &str, workers: usize, threads: usize) -> String {
    let of = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let graph = if graph.is_empty() { String::new() } else { format!("{graph} graph, ") };
    format!("{graph}{} of {}", of(workers, "worker"), of(threads, "thread"))
}
