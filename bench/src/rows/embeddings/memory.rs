//! How long a text takes that is in memory, below HTTP: the model by its name, SHA-256 of the text, the lookup, the
//! counters.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use embedd::{Config, ModelConfig, Probe, ProviderKind};
use futures::FutureExt;

use crate::load::Outcome;
use crate::report::{Line, Target, number};

const TEXTS: usize = 1_000;
const ROUNDS: usize = 1_000;
const P50_US_MAX: f64 = 1.0;

pub(super) async fn run() -> Result<Vec<Line>> {
    let model = ModelConfig { provider: ProviderKind::Hash, dimension: 384, ..ModelConfig::default() };
    let config = Config { model: "hash".into(), models: [("hash".to_owned(), model)].into(), ..Config::default() };
    let probe = Probe::start(config).await?;
    let texts: Vec<String> = (0..TEXTS).map(|n| format!("forklift driver with {n} years near Chicago, IL")).collect();
    probe.cached(texts.clone()).await.context("a hash needs nothing")?;
    let (mut took, all) = (Vec::with_capacity(TEXTS * ROUNDS), Instant::now());
    for _ in 0..ROUNDS {
        for text in &texts {
            let asked = vec![text.clone()];
            let began = Instant::now();
            let cached = black_box(probe.cached(asked).now_or_never());
            took.push(began.elapsed().as_secs_f64());
            ensure!(cached == Some(Some(1)), "what is in memory is not there at once");
        }
    }
    let outcome = Outcome::new(took, all.elapsed().as_secs_f64());
    let us = |share: f64| outcome.percentile(share) * 1e6;
    Ok(vec![
        Line::absolute("one text from memory, in-process: p50", us(0.5), "µs", Target::AtMost(P50_US_MAX)),
        Line::figure("the same: p99", number(us(0.99), "µs"), "–".into(), None),
    ])
}
