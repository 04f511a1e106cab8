//! candle over the same weights and the same token ids, as the benchmarks' peer.
//!
//! Reads one JSON command a line from stdin, answers one JSON line each: `{"ok": …}` or `{"error": …}`, as
//! `bench/python/encoder_peer.py` does. What is timed is timed here, around the network alone: tokenising, pooling
//! and the pipe cost it nothing. Its threads are those of `RAYON_NUM_THREADS`, for all workers.
//!
//! - `{"do": "open", "folder": FOLDER, "ids": FILE, "workers": 1 or 2}`
//! - `{"do": "encode", "batch": 8, "every": 1}`
//! - `{"do": "vector", "text": 0}`

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Command {
    Open { folder: PathBuf, ids: PathBuf, workers: usize },
    Encode { batch: usize, every: usize },
    Vector { text: usize },
}

struct Peer {
    model: BertModel,
    workers: usize,
    texts: Vec<Vec<u32>>,
    /// The texts by their lengths, so that batches have hardly any padding.
    by_length: Vec<usize>,
}

/// A rectangle of token ids, ready to be encoded.
struct Batch {
    ids: Tensor,
    kinds: Tensor,
    /// None where nothing is padded.
    mask: Option<Tensor>,
}

impl Peer {
    fn open(folder: &std::path::Path, ids: &std::path::Path, workers: usize) -> Result<Self> {
        let config: Config = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
        let weights = std::fs::read(folder.join("model.safetensors"))?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DTYPE, &Device::Cpu)?;
        let texts: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(ids)?)?;
        let mut by_length: Vec<usize> = (0..texts.len()).collect();
        by_length.sort_by_key(|text| texts[*text].len());
        Ok(Peer { model: BertModel::load(weights, &config)?, workers, texts, by_length })
    }

    /// Every n-th text, in batches that go to whichever worker is free.
    fn encode(&self, batch: usize, every: usize) -> Result<Value> {
        let texts: Vec<&[u32]> = self.by_length.iter().step_by(every).map(|text| &self.texts[*text][..]).collect();
        let batches = texts.chunks(batch).map(Batch::of).collect::<Result<Vec<_>>>()?;
        let queue = Mutex::new(batches.iter());
        let (started, before) = (Instant::now(), processor());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers).map(|_| scope.spawn(|| self.work(&queue))).collect();
            workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
        })?;
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), (processor() - before).as_secs_f64());
        Ok(json!({"texts": texts.len(), "seconds": seconds, "cpu_seconds": cpu}))
    }

    fn work(&self, queue: &Mutex<std::slice::Iter<'_, Batch>>) -> Result<()> {
        while let Some(batch) = { queue.lock().unwrap_or_else(PoisonError::into_inner).next() } {
            self.hidden(batch)?;
        }
        Ok(())
    }

    fn hidden(&self, batch: &Batch) -> Result<Tensor> {
        Ok(self.model.forward(&batch.ids, &batch.kinds, batch.mask.as_ref())?)
    }

    /// The mean of a text's tokens, to see that it is the same network.
    fn vector(&self, text: usize) -> Result<Value> {
        let ids = self.texts.get(text).context("there is no such text")?;
        let hidden = self.hidden(&Batch::of(&[&ids[..]])?)?;
        Ok(json!(hidden.squeeze(0)?.mean(0)?.to_vec1::<f32>()?))
    }
}

impl Batch {
    fn of(texts: &[&[u32]]) -> Result<Self> {
        let (rows, width) = (texts.len(), texts.iter().map(|text| text.len()).max().unwrap_or(0));
        let (mut ids, mut mask) = (vec![0_u32; rows * width], vec![0_u32; rows * width]);
        for (row, text) in texts.iter().enumerate() {
            ids[row * width..][..text.len()].copy_from_slice(text);
            mask[row * width..][..text.len()].fill(1);
        }
        let padded = mask.contains(&0);
        let ids = Tensor::from_vec(ids, (rows, width), &Device::Cpu)?;
        let mask = padded.then(|| Tensor::from_vec(mask, (rows, width), &Device::Cpu)).transpose()?;
        Ok(Batch { kinds: ids.zeros_like()?, ids, mask })
    }
}

fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn answer(line: &str, peer: &mut Option<Peer>) -> Result<Value> {
    match serde_json::from_str(line)? {
        Command::Open { folder, ids, workers } => {
            *peer = Some(Peer::open(&folder, &ids, workers)?);
            Ok(json!({}))
        }
        Command::Encode { batch, every } => peer.as_ref().context("nothing is open")?.encode(batch, every),
        Command::Vector { text } => peer.as_ref().context("nothing is open")?.vector(text),
    }
}

fn main() -> Result<()> {
    let (mut peer, mut out) = (None, std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let answer = match answer(&line?, &mut peer) {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
