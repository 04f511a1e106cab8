//! What is computed, and what is not computed again.

use std::collections::BTreeSet;

use embedd::ProviderKind;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::platform::{Platform, vector};
use crate::upstream::{Upstream, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_have_the_names_that_were_agreed() {
    let platform = Platform::with(|config| config.models.get_mut("hash").unwrap().cost_per_embedding = 0.5).await;
    let fresh = platform.stats().await;
    assert_eq!((&fresh["hits"], &fresh["misses"], &fresh["hit_rate"]), (&json!(0), &json!(0), &json!(0.0)));
    platform.embed(&["a", "b", "a"]).await;
    platform.embed(&["b", "c d"]).await;
    let stats = platform.stats().await;
    for (name, value) in [
        ("hits", json!(2)),
        ("misses", json!(3)),
        ("hit_rate", json!(0.4)),
        ("size", json!(3)),
        ("capacity", json!(10_000)),
        ("evictions", json!(0)),
        ("evictions_per_minute", json!(0)),
        ("single_flight_joins", json!(1)),
        ("tokens", json!(4)),
        ("tokens_saved", json!(2)),
        ("cost", json!(1.5)),
        ("cost_saved", json!(1.0)),
        ("cost_reduction", json!(0.4)),
        ("shared", json!(null)),
    ] {
        assert_eq!(stats[name], value, "{name}: {stats}");
    }
    assert_eq!((&stats["tiers"]["memory"]["texts"], &stats["tiers"]["provider"]["texts"]), (&json!(1), &json!(3)));
    assert!(stats["tiers"]["memory"]["p50_us"].as_f64().unwrap() > 0.0);
    assert_eq!(stats["models"][0]["model"], "hash");
    let metrics = platform.http.get(platform.url("metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "embedd_texts_total{model=\"hash\",tier=\"computed\"} 3",
        "embedd_texts_total{model=\"hash\",tier=\"memory\"} 1",
        "embedd_tier_seconds_count{tier=\"provider\"} 2",
        "embedd_tokens_saved_total{model=\"hash\"} 2",
        "embedd_cache_entries 3",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_of_no_entries_computes_everything() {
    let platform = Platform::with(|config| config.cache_size = 0).await;
    let first = platform.embed(&["a"]).await;
    let second = platform.embed(&["a"]).await;
    assert_eq!((&second["cached"], &second["vectors"]), (&json!(0), &first["vectors"]));
    let stats = platform.stats().await;
    assert_eq!((&stats["size"], &stats["misses"], &stats["capacity"]), (&json!(0), &json!(2), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_missing_is_asked_for_and_answers_keep_their_order() {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Ollama, |_| {}).await;
    platform.embed(&["a", "c"]).await;
    let answer = platform.embed(&["a", "b", "c", "b"]).await;
    assert_eq!(upstream.calls(), [vec!["a", "c"], vec!["b"]]);
    assert_eq!(answer["cached"], 3);
    let found: Vec<Vec<f32>> = answer["vectors"].as_array().unwrap().iter().map(vector).collect();
    assert_eq!(found, ["a", "b", "c", "b"].map(numbers));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_of_a_cached_vector_is_the_one_that_was_asked_for() {
    let upstream = Upstream::start().await;
    let other = upstream.model(ProviderKind::Openai);
    let platform = Platform::on(&upstream, ProviderKind::Openai, |config| {
        config.models.insert("twin".into(), embedd::ModelConfig { model: "remote".into(), ..other.clone() });
        config.models.insert("other".into(), other);
    })
    .await;
    // The upstream calls its model remote-2026-11-01: neither the answer nor the key takes that over.
    let named = platform.done("v1/embed", json!({ "texts": ["a"], "model": "remote" })).await;
    let omitted = platform.embed(&["a"]).await;
    assert_eq!((&named["model"], &omitted["cached"]), (&json!("remote"), &json!(1)));
    let twin = platform.done("v1/embed", json!({ "texts": ["a"], "model": "twin" })).await;
    assert_eq!(twin["cached"], 1, "the same model of the same protocol by another name");
    let other = platform.done("v1/embed", json!({ "texts": ["a"], "model": "other" })).await;
    assert_eq!((&other["cached"], upstream.calls().len()), (&json!(0), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_log_is_computed_once_per_text() {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Openai, |_| {}).await;
    let log = query_log(1_000);
    for query in &log {
        platform.embed(&[query]).await;
    }
    let distinct: BTreeSet<String> = log.iter().cloned().collect();
    assert_eq!(upstream.texts(), distinct.iter().cloned().collect::<Vec<_>>(), "each of them, and each once");
    let stats = platform.stats().await;
    let repeats = log.len() - distinct.len();
    assert!((250..=350).contains(&repeats), "{repeats}");
    assert_eq!((&stats["hits"], &stats["misses"]), (&json!(repeats), &json!(distinct.len())));
    assert_eq!(stats["hit_rate"], repeats as f64 / log.len() as f64);
}

/// Staffing queries, 30 % of which were asked before: those that are repeated follow Zipf's law.
fn query_log(count: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(7);
    let mut asked: Vec<String> = Vec::new();
    (0..count)
        .map(|n| {
            if !asked.is_empty() && random.random_bool(0.3) {
                // The k-th text with a probability of about 1/k.
                let rank = (asked.len() as f64).powf(random.random::<f64>()) as usize;
                return asked[rank.min(asked.len()) - 1].clone();
            }
            let query = format!("forklift driver {n} IL");
            asked.push(query.clone());
            query
        })
        .collect()
}
