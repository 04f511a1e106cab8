//! How long a text takes that is in memory: `cargo run --release -p embedd --example tier1`. One line of JSON.
//!
//! The whole way below HTTP is measured: the model by its name, SHA-256 of the text, the lookup, the counters.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a measurement that cannot go on has failed")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use embedd::{Config, ModelConfig, Probe, ProviderKind};
use futures::FutureExt;

const TEXTS: usize = 1_000;
const ROUNDS: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let model = ModelConfig { provider: ProviderKind::Hash, dimension: 384, ..ModelConfig::default() };
    let config = Config { model: "hash".into(), models: [("hash".to_owned(), model)].into(), ..Config::default() };
    let probe = Probe::start(config).await.expect("a hash needs nothing");
    let texts: Vec<String> = (0..TEXTS).map(|n| format!("forklift driver with {n} years near Chicago, IL")).collect();
    probe.cached(texts.clone()).await.expect("the hash answers");
    let mut took: Vec<Duration> = Vec::with_capacity(TEXTS * ROUNDS);
    for _ in 0..ROUNDS {
        for text in &texts {
            let asked = vec![text.clone()];
            let began = Instant::now();
            let cached = black_box(probe.cached(asked).now_or_never());
            took.push(began.elapsed());
            assert_eq!(cached, Some(Some(1)), "what is in memory is there at once");
        }
    }
    took.sort_unstable();
    let ns = |share: f64| took[(share * (took.len() - 1) as f64) as usize].as_nanos();
    println!(
        "{{\"what\":\"one text from memory\",\"p50_ns\":{},\"p95_ns\":{},\"p99_ns\":{}}}",
        ns(0.5),
        ns(0.95),
        ns(0.99)
    );
}
