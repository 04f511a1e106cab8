//! Searches over HTTP: beside Chroma's server, and what of the processor each takes.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Request;

use super::engines::Reference;
use super::kept::WRITERS;
use super::{DIMENSION, RECALL, median};
use crate::env::Env;
use crate::http::Body;
use crate::load::{self, Length, Outcome};
use crate::peers;
use crate::platform::Platform;
use crate::report::{Line, Target, number};
use crate::stats;
use crate::vectors::api::{Index, searches};
use crate::vectors::chroma::{self, Collection};
use crate::vectors::{BATCH, Set, batches};

const CONNECTIONS: [usize; 2] = [1, 16];
const EFS: [usize; 12] = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];
const CPU_QUERIES: u64 = 2_000;

/// Where searches go, and what they are.
struct Searches<'a> {
    address: SocketAddr,
    request: &'a dyn Fn(Bytes) -> Result<Request<Body>>,
    bodies: &'a [Bytes],
}

impl Searches<'_> {
    async fn load(&self, connections: usize, length: Length) -> Result<Outcome> {
        let request = |number: u64| (self.request)(self.bodies[number as usize % self.bodies.len()].clone());
        load::run(self.address, connections, length, &request).await
    }
}

pub(super) async fn run(env: &Env) -> Result<Vec<Line>> {
    let set = Set::load(env, env.sizes.served_vectors, DIMENSION).await?;
    let rows: Vec<Vec<usize>> = set.batches(BATCH).map(Vec::from_iter).collect();
    let platform = Platform::start(env, &env.folder("data")?).await?;
    let index = Index::create(platform.gateway, "served", DIMENSION).await?;
    let bodies = rows.iter().map(|rows| batches::arrow(&set, rows, &|_| None)).collect::<Result<Vec<_>>>()?;
    let add = |number: u64| index.add_arrow(bodies[number as usize].clone());
    load::run(platform.gateway, WRITERS, Length::Requests(bodies.len() as u64), &add).await?;
    index.unindexed_at_most(0).await?;

    let peer = peers::chroma(env).await?;
    let collection = Collection::create(peer.address, "served").await?;
    let bodies = Vec::from_iter(rows.iter().map(|rows| batches::chroma(&set, rows)));
    let add = |number: u64| collection.add(bodies[number as usize].clone());
    load::run(peer.address, 1, Length::Requests(bodies.len() as u64), &add).await?;

    let queries = chroma::queries(&set)?;
    let their_recall = collection.recall(&set, &queries).await?;
    let mut lines = Vec::new();
    for (wanted, bound) in [(RECALL, Some(4.0)), (their_recall, None)] {
        let (ef, recall) = ef_for(&index, &set, wanted).await?;
        let bodies = searches(&set, ef, None, false)?;
        let ours = Searches { address: platform.gateway, request: &|body| index.search(body), bodies: &bodies };
        let theirs = Searches { address: peer.address, request: &|body| collection.query(body), bodies: &queries };
        for connections in CONNECTIONS {
            let recalls = format!("recall {recall:.3} and {their_recall:.3}");
            let plural = if connections == 1 { "" } else { "s" };
            let what = format!("searches over HTTP, {recalls}, {connections} connection{plural}: Chroma");
            lines.push(beside(env, &what, &ours, &theirs, connections, bound).await?);
        }
    }
    peer.server.stop().await?;
    platform.server.stop().await?;
    Ok(lines)
}

async fn beside(
    env: &Env,
    what: &str,
    ours: &Searches<'_>,
    theirs: &Searches<'_>,
    connections: usize,
    bound: Option<f64>,
) -> Result<Line> {
    let (mut mine, mut other) = (Vec::new(), Vec::new());
    for _ in 0..env.rounds {
        mine.push(ours.load(connections, env.sizes.loops).await?);
        other.push(theirs.load(connections, env.sizes.loops).await?);
    }
    let (mine, other) = (median(&mine, Outcome::rate), median(&other, Outcome::rate));
    let (our_text, their_text) = (number(mine, "/s"), number(other, "/s"));
    Ok(match bound {
        Some(bound) => Line::ratio(what, our_text, their_text, mine / other, Target::AtLeast(bound)),
        None => Line::figure(what, our_text, their_text, Some(mine / other)),
    })
}

/// The smallest ef with which the service reaches a recall, and the recall it reaches.
async fn ef_for(index: &Index, set: &Set, wanted: f64) -> Result<(usize, f64)> {
    let mut best: f64 = 0.0;
    for ef in EFS {
        let recall = index.recall(set, ef).await?;
        if recall >= wanted {
            return Ok((ef, recall));
        }
        best = best.max(recall);
    }
    anyhow::bail!("recall {wanted:.3} is not reached: {best:.3}")
}

/// CPU time of the whole process per search, beside that of the engine alone at the same ef.
pub(super) async fn cpu(
    env: &Env,
    platform: &Platform,
    index: &Index,
    set: &Set,
    reference: Reference,
) -> Result<Vec<Line>> {
    let (ef, recall) = ef_for(index, set, RECALL).await?;
    let bodies = searches(set, ef, None, true)?;
    let ours = Searches { address: platform.gateway, request: &|body| index.search(body), bodies: &bodies };
    let (mut served, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..env.rounds {
        let before = platform.server.cpu_seconds()?;
        ours.load(1, Length::Requests(CPU_QUERIES)).await?;
        served.push((platform.server.cpu_seconds()? - before) / CPU_QUERIES as f64 * 1e6);
        let run = reference.engine.search(ef).await.context("the engine alone")?;
        alone.push(run.cpu_seconds / run.queries as f64 * 1e6);
    }
    let (served, alone) = (stats::median(&served), stats::median(&alone));
    let what = format!("CPU time of a search over HTTP, ef {ef}, recall {recall:.3}: in-process");
    let texts = (number(served, "µs"), number(alone, "µs"));
    Ok(vec![Line::ratio(&what, texts.0, texts.1, served / alone, Target::AtMost(3.0))])
}
