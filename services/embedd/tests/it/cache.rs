//! What is computed, and what is not computed again.

use serde_json::json;

use crate::platform::Platform;

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
