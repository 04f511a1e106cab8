//! Adds in batches: by each of the ways in, and beside Chroma's server.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use proto::v1::AddRequest;
use proto::v1::vectors_client::VectorsClient;

use super::kept::WRITERS;
use crate::env::Env;
use crate::load::{self, Length};
use crate::peers;
use crate::platform::{Platform, channel};
use crate::report::{Line, Section, Target, number};
use crate::stats;
use crate::vectors::api::Index;
use crate::vectors::chroma::Collection;
use crate::vectors::{BATCH, Set, batches};

const NAME: &str = "added";

/// All items in batches, as they travel.
enum Batches {
    Json(Vec<Bytes>),
    Arrow(Vec<Bytes>),
    Grpc(Vec<AddRequest>),
}

/// One of the ways in.
struct Way {
    name: &'static str,
    /// Items/s.
    wanted: f64,
    batches: Batches,
    /// Items/s of each round, or why there are none.
    rates: Result<Vec<f64>>,
}

pub(super) async fn run(env: &Env, platform: &Platform, set: &Arc<Set>, section: &mut Section) -> Result<()> {
    let rows: Vec<Vec<usize>> = set.batches(BATCH).map(Vec::from_iter).collect();
    let mut ways = ways(set, &rows)?;
    let theirs = rows.iter().take(env.sizes.served_vectors / BATCH).map(|rows| batches::chroma(set, rows));
    let theirs: Vec<Bytes> = theirs.collect();
    let peer = peers::chroma(env).await?;
    let mut chroma = Vec::new();
    for _ in 0..env.rounds {
        for way in &mut ways {
            way.round(platform, set).await?;
        }
        let collection = Collection::create(peer.address, NAME).await?;
        let add = |number: u64| collection.add(theirs[number as usize].clone());
        let outcome = load::run(peer.address, WRITERS, Length::Requests(theirs.len() as u64), &add).await?;
        chroma.push((theirs.len() * BATCH) as f64 / outcome.seconds);
        collection.delete().await?;
    }
    peer.server.stop().await?;
    let chroma = stats::median(&chroma);
    for way in ways {
        section.record(&format!("add by {}", way.name), way.lines(chroma));
    }
    Ok(())
}

fn ways(set: &Set, rows: &[Vec<usize>]) -> Result<Vec<Way>> {
    let way = |name, wanted, batches| Way { name, wanted, batches, rates: Ok(Vec::new()) };
    let json = rows.iter().map(|rows| batches::json(set, rows, &|_| None)).collect::<Result<_>>()?;
    let arrow = rows.iter().map(|rows| batches::arrow(set, rows, &|_| None)).collect::<Result<_>>()?;
    let grpc = rows.iter().map(|rows| batches::grpc(set, NAME, rows, &|_| None)).collect();
    Ok(vec![
        way("JSON", 8_000.0, Batches::Json(json)),
        way("Arrow", 20_000.0, Batches::Arrow(arrow)),
        way("gRPC", 20_000.0, Batches::Grpc(grpc)),
    ])
}

impl Way {
    /// All items into a new index, which goes again.
    async fn round(&mut self, platform: &Platform, set: &Set) -> Result<()> {
        let Ok(rates) = &mut self.rates else { return Ok(()) };
        let index = Index::create(platform.gateway, NAME, set.dimension).await?;
        let added = self.batches.add_all(platform, &index).await;
        index.delete().await?;
        match added {
            Ok(seconds) => rates.push(set.len() as f64 / seconds),
            Err(error) => self.rates = Err(error),
        }
        Ok(())
    }

    fn lines(self, chroma: f64) -> Result<Vec<Line>> {
        let rate = stats::median(&self.rates?);
        let what = format!("add by {}, {WRITERS} connections, synced", self.name);
        let (ours, theirs) = (number(rate, "/s"), number(chroma, "/s"));
        Ok(vec![
            Line::absolute(&what, rate, "/s", Target::AtLeast(self.wanted)),
            Line::figure("the same: Chroma, which does not sync", ours, theirs, Some(rate / chroma)),
        ])
    }
}

impl Batches {
    /// The seconds until the last is acknowledged; each connection sends its next one when its last is.
    async fn add_all(&self, platform: &Platform, index: &Index) -> Result<f64> {
        let (bodies, add): (_, fn(&Index, Bytes) -> _) = match self {
            Batches::Grpc(messages) => return over_grpc(platform, messages).await,
            Batches::Json(bodies) => (bodies, Index::add_json),
            Batches::Arrow(bodies) => (bodies, Index::add_arrow),
        };
        let request = |number: u64| add(index, bodies[number as usize].clone());
        let length = Length::Requests(bodies.len() as u64);
        Ok(load::run(platform.gateway, WRITERS, length, &request).await?.seconds)
    }
}

async fn over_grpc(platform: &Platform, messages: &[AddRequest]) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        clients.push(VectorsClient::new(channel(platform.gateway).await?));
    }
    let started = Instant::now();
    let turns = clients.into_iter().enumerate().map(|(at, mut client)| async move {
        for message in messages.iter().skip(at).step_by(WRITERS) {
            client.add(message.clone()).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(turns).await?;
    Ok(started.elapsed().as_secs_f64())
}
