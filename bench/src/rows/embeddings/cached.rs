//! Texts that are in memory over HTTP, beside texts that have to be computed.

use anyhow::Result;
use bytes::Bytes;

use super::local;
use crate::embeddings::{api, texts};
use crate::env::Env;
use crate::load::{self, Length};
use crate::platform::Platform;
use crate::report::{Line, Target, number};
use crate::stats;

const BATCH: usize = 64;
/// Batches that are computed in a round, and batches that are asked for again and again.
const FRESH: usize = 8;
const KEPT: usize = 16;
const TIMES_MIN: f64 = 20.0;

pub(super) async fn run(env: &Env) -> Result<Vec<Line>> {
    let platform = Platform::start_with(env, &env.folder("data")?, &[local()?]).await?;
    // Numbered, so that none is there twice.
    let texts = texts::short((KEPT + env.rounds * FRESH) * BATCH).into_iter().enumerate();
    let texts: Vec<String> = texts.map(|(number, text)| format!("{text} {number}")).collect();
    let bodies: Vec<Bytes> = texts.chunks(BATCH).map(api::openai_body).collect();
    let (kept, fresh) = bodies.split_at(KEPT);
    let post = |bodies: &[Bytes], number: u64| api::openai(bodies[number as usize % bodies.len()].clone());
    load::run(platform.gateway, 1, Length::Requests(KEPT as u64), &|number| post(kept, number)).await?;
    let (mut cached, mut computed) = (Vec::new(), Vec::new());
    for fresh in fresh.chunks(FRESH) {
        let once = Length::Requests(fresh.len() as u64);
        computed.push(load::run(platform.gateway, 1, once, &|number| post(fresh, number)).await?.rate());
        cached.push(load::run(platform.gateway, 1, env.sizes.loops, &|number| post(kept, number)).await?.rate());
    }
    platform.server.stop().await?;
    let rate = |rates: &[f64]| stats::median(rates) * BATCH as f64;
    let (cached, computed) = (rate(&cached), rate(&computed));
    let what = "cached texts through the gateway, batches of 64 in base64: the same uncached";
    let (ours, theirs) = (number(cached, "/s"), number(computed, "/s"));
    Ok(vec![Line::ratio(what, ours, theirs, cached / computed, Target::AtLeast(TIMES_MIN))])
}
