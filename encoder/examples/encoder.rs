//! Measures an encoder: one JSON object per line.
//!
//! `encoder FOLDER [--texts N] [--rounds N] [--fidelity TEXTS] [--source weights|graph] [--export FILE] [--fused FILE] [--ids FILE]`
//!
//! Texts per second of `Model::encode` by one-thread workers and by one two-thread worker, and through the pool
//! as a caller sees it, tokenising included; by the clock on the wall and by the processor's. `--fidelity`: the
//! least cosine to float64. For peers, `--export` writes the network as an ONNX file, `--fused` the same of ONNX
//! Runtime's own operators, `--ids` the token ids of the same texts: see `bench/python/encoder_peer.py`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use encoder::{Encoder, EncoderOptions, Input, Model, Options, Overlong, Request, Source, Tokens, Worker};
use rustix::time::{ClockId, clock_gettime};

#[path = "../tests/it/exact.rs"]
mod exact;
#[path = "../tests/it/onnx.rs"]
mod onnx;
#[path = "../tests/it/reference.rs"]
#[allow(dead_code)]
mod reference;
#[path = "../tests/it/texts.rs"]
#[allow(dead_code)]
mod texts;

const BATCHES: [usize; 4] = [1, 8, 32, 64];
type Failure = Box<dyn Error + Send + Sync>;

struct Args {
    folder: PathBuf,
    fidelity: usize,
    export: Option<PathBuf>,
    fused: Option<PathBuf>,
    ids: Option<PathBuf>,
    rounds: usize,
    texts: usize,
    source: Source,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        const USAGE: &str = "encoder FOLDER [--fidelity TEXTS] [--export FILE] [--fused FILE] [--ids FILE] [--rounds N] [--texts N] [--source weights|graph]";
        let folder = args.next().ok_or(USAGE)?.into();
        let mut parsed = Self {
            folder,
            fidelity: 0,
            export: None,
            fused: None,
            ids: None,
            rounds: 1,
            texts: 1000,
            source: Source::Any,
        };
        while let Some(arg) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match arg.as_str() {
                "--fidelity" => parsed.fidelity = value.parse()?,
                "--export" => parsed.export = Some(value.into()),
                "--fused" => parsed.fused = Some(value.into()),
                "--ids" => parsed.ids = Some(value.into()),
                "--rounds" => parsed.rounds = value.parse()?,
                "--texts" => parsed.texts = value.parse()?,
                "--source" => parsed.source = if value == "graph" { Source::Graph } else { Source::Weights },
                _ => return Err(USAGE.into()),
            }
        }
        Ok(parsed)
    }
}

fn main() -> Result<(), Failure> {
    let args = Args::parse(std::env::args().skip(1))?;
    let started = Instant::now();
    let model = Arc::new(Model::open(&args.folder, &Options { source: args.source, ..Options::default() })?);
    println!(r#"{{"what":"open","seconds":{:.3}}}"#, started.elapsed().as_secs_f64());
    let texts = texts::short(args.texts);
    let started = Instant::now();
    let tokens = texts.iter().map(|text| model.tokenize(text, Overlong::Cut)).collect::<Result<Vec<_>, _>>()?;
    let seconds = started.elapsed().as_secs_f64();
    let count: usize = tokens.iter().map(|tokens| tokens.ids.len()).sum();
    println!(r#"{{"what":"tokenise","tokens":{count},"texts_per_second":{:.0}}}"#, texts.len() as f64 / seconds);
    for (file, fused) in [(&args.export, false), (&args.fused, true)] {
        if let Some(file) = file {
            std::fs::write(file, onnx::export(&reference::Reference::open(&args.folder), fused))?;
        }
    }
    if let Some(file) = &args.ids {
        let ids: Vec<_> = tokens.iter().map(|tokens| &tokens.ids).collect();
        std::fs::write(file, serde_json::to_vec(&ids)?)?;
    }
    for _ in 0..args.rounds {
        for batch in BATCHES {
            say("one one-thread worker", batch, texts.len(), workers(&model, &tokens, batch, 1, 1)?);
            say("two one-thread workers", batch, texts.len(), workers(&model, &tokens, batch, 2, 1)?);
            say("one two-thread worker", batch, texts.len(), workers(&model, &tokens, batch, 1, 2)?);
            say("pool, one client", batch, texts.len(), pool(&model, &texts, batch, 1)?);
            say("pool, two clients", batch, texts.len(), pool(&model, &texts, batch, 2)?);
        }
        say("pool, sixteen clients", 1, texts.len(), pool(&model, &texts, 1, 16)?);
    }
    fidelity(&model, &args)
}

fn say(how: &str, batch: usize, texts: usize, watch: (f64, f64)) {
    let texts = texts as f64;
    let (rate, own) = (texts / watch.0, texts / watch.1);
    println!(
        r#"{{"what":"encode","how":"{how}","batch":{batch},"texts_per_second":{rate:.0},"texts_per_cpu_second":{own:.0}}}"#
    );
}

/// The clock on the wall, and the processor's, which tells the same on a machine with other work to do.
struct Watch {
    wall: Instant,
    processor: Duration,
}

impl Watch {
    fn start() -> Self {
        Self { wall: Instant::now(), processor: processor() }
    }

    fn seconds(&self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), (processor() - self.processor).as_secs_f64())
    }
}

fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Seconds for all texts, in batches that go to whichever worker is free.
fn workers(
    model: &Model,
    tokens: &[Tokens],
    batch: usize,
    workers: usize,
    threads: usize,
) -> Result<(f64, f64), Failure> {
    let all: Vec<&Tokens> = tokens.iter().collect();
    let batches = std::sync::Mutex::new(all.chunks(batch));
    let mut ready = (0..workers).map(|_| Worker::new(threads)).collect::<Result<Vec<_>, _>>()?;
    let watch = Watch::start();
    std::thread::scope(|scope| {
        for worker in &mut ready {
            scope.spawn(|| {
                while let Some(batch) = { batches.lock().unwrap().next() } {
                    model.encode(batch, worker).unwrap();
                }
            });
        }
    });
    Ok(watch.seconds())
}

/// Seconds for all texts, as requests of callers who wait for each answer.
fn pool(model: &Arc<Model>, texts: &[String], batch: usize, clients: usize) -> Result<(f64, f64), Failure> {
    let encoder = Encoder::start(model.clone(), EncoderOptions::default())?;
    let batches = std::sync::Mutex::new(texts.chunks(batch));
    let watch = Watch::start();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while let Some(batch) = { batches.lock().unwrap().next() } {
                    let inputs = batch.iter().cloned().map(Input::Text).collect();
                    let answer = encoder.submit(Request { inputs, normalise: None, truncate: true }).unwrap();
                    assert_eq!(answer.blocking_recv().unwrap().unwrap().vectors.len(), batch.len());
                }
            });
        }
    });
    Ok(watch.seconds())
}

/// The least cosine to float64 over varied texts.
fn fidelity(model: &Arc<Model>, args: &Args) -> Result<(), Failure> {
    let texts = texts::varied(args.fidelity);
    let reference = reference::Reference::open(&args.folder);
    let threads = std::thread::available_parallelism()?.get();
    let started = Instant::now();
    let least = exact::least_cosine(model, &reference, "mean", &texts, threads);
    let seconds = started.elapsed().as_secs_f64();
    println!(r#"{{"what":"fidelity","texts":{},"cosine_min":{least:.9},"seconds":{seconds:.0}}}"#, texts.len());
    Ok(())
}
