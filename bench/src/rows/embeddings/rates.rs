//! Local embedding through HTTP, beside runtimes in-process.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::local;
use crate::embeddings::api;
use crate::embeddings::peer::{Choice, Peer, Run};
use crate::embeddings::work::Work;
use crate::env::Env;
use crate::load::{self, Length};
use crate::platform::Platform;
use crate::report::{Line, Section, Target, number};
use crate::stats;

const ONNX_RUNTIME_MIN: f64 = 0.95;
const CANDLE_MIN: f64 = 1.8;
/// Texts whose vectors are compared first.
const COMPARED: usize = 8;
const SAME_COSINE_MIN: f64 = 0.9999;

/// How texts are sent, and what the peers may make of it.
struct Shape {
    what: &'static str,
    clients: usize,
    batch: usize,
    /// Sizes of the peers' batches: the best one counts.
    theirs: &'static [usize],
}

const SHAPES: [Shape; 5] = [
    Shape { what: "batches of 1", clients: 1, batch: 1, theirs: &[1] },
    Shape { what: "batches of 8", clients: 1, batch: 8, theirs: &[8] },
    Shape { what: "batches of 32", clients: 1, batch: 32, theirs: &[32] },
    Shape { what: "batches of 64", clients: 1, batch: 64, theirs: &[64] },
    // Sixteen texts are there at a time.
    Shape { what: "16 clients with a text each", clients: 16, batch: 1, theirs: &[1, 8, 16] },
];
const BATCHES: [usize; 5] = [1, 8, 16, 32, 64];

/// One side's rounds: texts/s, and milliseconds of the processor for each text.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    cpu_ms: Vec<f64>,
}

impl Side {
    fn rate(&self) -> f64 {
        stats::median(&self.rates)
    }

    fn add(&mut self, run: Run) {
        self.rates.push(run.rate());
        self.cpu_ms.push(run.cpu_ms());
    }
}

pub(super) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let work = Work::prepare(env).await?;
    let settings = [local()?, "embedd.cache_size=0".to_owned()];
    let platform = Platform::start_with(env, &env.folder("data")?, &settings).await?;
    let (mut onnx, mut candle) = (Peer::onnx_runtime(env, &work).await?, Peer::candle(env, &work).await?);
    section.add(same(platform.gateway, &work, &mut onnx, &mut candle).await?);
    onnx.try_all(&BATCHES).await?;
    candle.try_all(&BATCHES).await?;
    for shape in &SHAPES {
        let choices = [onnx.best(shape.theirs)?, candle.best(shape.theirs)?];
        let bodies: Vec<Bytes> = work.texts.chunks(shape.batch).map(api::body).collect();
        let mut sides = [Side::default(), Side::default(), Side::default()];
        for _ in 0..env.sizes.embedding_rounds {
            ours(&platform, &work, shape, &bodies, &mut sides[0]).await?;
            sides[1].add(onnx.encode(&choices[0]).await?);
            sides[2].add(candle.encode(&choices[1]).await?);
        }
        lines(shape, &sides, &choices).into_iter().for_each(|line| section.add(line));
    }
    platform.server.stop().await
}

/// That everybody computes the same.
async fn same(gateway: SocketAddr, work: &Work, onnx: &mut Peer, candle: &mut Peer) -> Result<Line> {
    let mut least = 1.0_f64;
    for (text, ours) in api::vectors(gateway, &work.texts[..COMPARED]).await?.iter().enumerate() {
        for theirs in onnx.vectors(text).await?.into_iter().chain(candle.vectors(text).await?) {
            ensure!(ours.len() == theirs.len(), "{} numbers, not {}", theirs.len(), ours.len());
            let theirs: Vec<f64> = theirs.into_iter().map(f64::from).collect();
            least = least.min(crate::embeddings::reference::cosine(ours, &theirs));
        }
    }
    let (texts, mean) = (work.texts.len(), work.tokens as f64 / work.texts.len() as f64);
    let what = format!("{texts} texts of {mean:.0} tokens in the mean: all three compute the same vectors");
    Ok(Line::holds(&what, least >= SAME_COSINE_MIN, format!("cosine ≥ {least:.6}")))
}

async fn ours(platform: &Platform, work: &Work, shape: &Shape, bodies: &[Bytes], side: &mut Side) -> Result<()> {
    let before = platform.server.cpu_seconds()?;
    let request = |number: u64| api::embed(bodies[number as usize].clone());
    let length = Length::Requests(bodies.len() as u64);
    let outcome = load::run(platform.gateway, shape.clients, length, &request).await?;
    let texts = work.texts.len() as f64;
    side.rates.push(texts / outcome.seconds);
    side.cpu_ms.push(1e3 * (platform.server.cpu_seconds()? - before) / texts);
    Ok(())
}

fn lines(shape: &Shape, [ours, onnx, candle]: &[Side; 3], [onnx_choice, candle_choice]: &[Choice; 2]) -> [Line; 3] {
    let rate = |side: &Side| number(side.rate(), "/s");
    let beside = |name: &str, choice: &Choice, side: &Side, wanted: f64| {
        let what = format!("{}: {name} ({})", shape.what, choice.name);
        let ratio = ours.rate() / side.rate();
        Line::ratio(&what, rate(ours), rate(side), ratio, Target::AtLeast(wanted))
    };
    let (mine, other) = (stats::median(&ours.cpu_ms), stats::median(&onnx.cpu_ms));
    let cpu = format!("{}: CPU time of a text, the whole platform's and ONNX Runtime's", shape.what);
    [
        beside("ONNX Runtime", onnx_choice, onnx, ONNX_RUNTIME_MIN),
        beside("candle", candle_choice, candle, CANDLE_MIN),
        Line::figure(&cpu, number(mine, "ms"), number(other, "ms"), Some(mine / other)),
    ]
}
