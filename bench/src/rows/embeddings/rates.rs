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

/// How many texts a request has, and what the peers may make of it.
struct Shape {
    what: &'static str,
    batch: usize,
    /// Sizes of the peers' batches: the best one counts.
    theirs: &'static [usize],
}

const SHAPES: [Shape; 4] = [
    Shape { what: "batches of 1", batch: 1, theirs: &[1] },
    Shape { what: "batches of 8", batch: 8, theirs: &[8] },
    Shape { what: "batches of 32", batch: 32, theirs: &[32] },
    Shape { what: "batches of 64", batch: 64, theirs: &[64] },
];
const CROWD_CLIENTS: usize = 16;
/// Sixteen texts are there at a time.
const CROWD: Shape = Shape { what: "16 clients with a text each", batch: 1, theirs: &[1, 8, 16] };
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

    /// For people.
    fn shown(&self) -> String {
        number(self.rate(), "/s")
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
    let mut bench = Bench { env, platform: &platform, work: &work, peers: [onnx, candle] };
    for shape in &SHAPES {
        bench.beside_as_many_at_once(shape).await?.into_iter().for_each(|line| section.add(line));
    }
    bench.crowd().await?.into_iter().for_each(|line| section.add(line));
    platform.server.stop().await
}

const PEERS: [(&str, f64); 2] = [("ONNX Runtime", ONNX_RUNTIME_MIN), ("candle", CANDLE_MIN)];

struct Bench<'a> {
    env: &'a Env,
    platform: &'a Platform,
    work: &'a Work,
    /// In the order of [`PEERS`].
    peers: [Peer; 2],
}

/// Who is measured with a number of batches at a time: the platform, and the peers as chosen.
struct Sides {
    clients: usize,
    ours: Side,
    peers: [(Choice, Side); 2],
}

impl Bench<'_> {
    fn sides(&self, shape: &Shape, clients: usize) -> Result<Sides> {
        let choice = |peer: &Peer| Ok::<_, anyhow::Error>((peer.best(shape.theirs, clients)?, Side::default()));
        let peers = [choice(&self.peers[0])?, choice(&self.peers[1])?];
        Ok(Sides { clients, ours: Side::default(), peers })
    }

    async fn round(&mut self, bodies: &[Bytes], sides: &mut Sides) -> Result<()> {
        ours(self.platform, self.work, sides.clients, bodies, &mut sides.ours).await?;
        for (peer, (choice, side)) in self.peers.iter_mut().zip(&mut sides.peers) {
            side.add(peer.encode(choice).await?);
        }
        Ok(())
    }

    /// One client beside peers with one batch at a time, and a client per core beside peers who may have as many.
    async fn beside_as_many_at_once(&mut self, shape: &Shape) -> Result<Vec<Line>> {
        let bodies = self.bodies(shape);
        let (mut one, mut more) = (self.sides(shape, 1)?, self.sides(shape, self.env.threads)?);
        for _ in 0..self.env.sizes.embedding_rounds {
            self.round(&bodies, &mut one).await?;
            self.round(&bodies, &mut more).await?;
        }
        let names = [
            format!("{}, one client beside one batch at a time", shape.what),
            format!("{}, {} clients", shape.what, more.clients),
        ];
        let mut lines = Vec::new();
        for (name, sides) in names.iter().zip([&one, &more]) {
            lines.extend(rates(name, sides));
            lines.push(processor(name, sides));
        }
        // And one client beside whatever they are fastest with.
        let best = Sides { clients: 1, ours: one.ours, peers: more.peers };
        lines.extend(rates(&format!("{}, one client beside the best of all", shape.what), &best));
        Ok(lines)
    }

    /// Clients of whose texts a server has to make batches by itself.
    async fn crowd(&mut self) -> Result<Vec<Line>> {
        let bodies = self.bodies(&CROWD);
        let mut sides = self.sides(&CROWD, CROWD_CLIENTS)?;
        for _ in 0..self.env.sizes.embedding_rounds {
            self.round(&bodies, &mut sides).await?;
        }
        let mut lines = rates(CROWD.what, &sides);
        lines.push(processor(CROWD.what, &sides));
        Ok(lines)
    }

    fn bodies(&self, shape: &Shape) -> Vec<Bytes> {
        self.work.texts.chunks(shape.batch).map(api::body).collect()
    }
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

async fn ours(platform: &Platform, work: &Work, clients: usize, bodies: &[Bytes], side: &mut Side) -> Result<()> {
    let before = platform.server.cpu_seconds()?;
    let request = |number: u64| api::embed(bodies[number as usize].clone());
    let length = Length::Requests(bodies.len() as u64);
    let outcome = load::run(platform.gateway, clients, length, &request).await?;
    let texts = work.texts.len() as f64;
    side.rates.push(texts / outcome.seconds);
    side.cpu_ms.push(1e3 * (platform.server.cpu_seconds()? - before) / texts);
    Ok(())
}

fn rates(name: &str, sides: &Sides) -> Vec<Line> {
    let beside = |((peer, wanted), (choice, side)): ((&str, f64), &(Choice, Side))| {
        let what = format!("{name}: {peer} ({})", choice.name);
        let ratio = sides.ours.rate() / side.rate();
        Line::ratio(&what, sides.ours.shown(), side.shown(), ratio, Target::AtLeast(wanted))
    };
    PEERS.into_iter().zip(&sides.peers).map(beside).collect()
}

fn processor(name: &str, sides: &Sides) -> Line {
    let (mine, other) = (stats::median(&sides.ours.cpu_ms), stats::median(&sides.peers[0].1.cpu_ms));
    let what = format!("{name}: CPU time of a text, the whole platform's and ONNX Runtime's");
    Line::figure(&what, number(mine, "ms"), number(other, "ms"), Some(mine / other))
}
