//! Where Watch breaks off, is refused or is silent: what a statement sees does not depend on it.

use std::time::{Duration, Instant};

use kit::testing::TestServer;
use serde_json::json;
use testbed::Relay;

use crate::platform::{JOBS, Platform, WORKERS, until};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);
const COUNT: &str = "SELECT count(*) FROM workers";

async fn until_it_says(platform: &Platform, words: &str) {
    until(words, || async {
        let health = platform.json("health").await;
        let detail = health["components"]["catalog"]["detail"].as_str().unwrap_or_default();
        detail.contains(words).then_some(())
    })
    .await;
}

/// A platform with one dataset, whose queryd reaches catalogd by a relay and follows it.
async fn relayed(refresh_every: Duration) -> (Platform, Relay) {
    let mut relay = None;
    let platform = Platform::start_with(|config| {
        config.catalogd_url = relay.insert(Relay::to(&config.catalogd_url)).url();
        config.refresh_every = refresh_every;
    })
    .await;
    platform.register("jobs", JOBS).await;
    platform.until_known(1).await;
    (platform, relay.unwrap())
}

/// A platform with one dataset, whose queryd is refused Watch: the one place for it is taken by the
/// queryd that is returned too.
async fn refused(refresh_every: Duration) -> (Platform, TestServer) {
    let mut platform = Platform::start_all(|_| {}, |catalogd| catalogd.watchers_max = 1, |_| {}).await;
    until_it_says(&platform, "following catalogd").await;
    platform.register("jobs", JOBS).await;
    let watching = platform.replace_queryd(|config| config.refresh_every = refresh_every).await;
    // Asked for once at the start, whatever the interval.
    platform.until_known(1).await;
    (platform, watching)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_watch_is_refused_polling_finds_what_changed() {
    let (platform, watching) = refused(Duration::from_secs(1)).await;
    for _ in 0..2 {
        let written = Instant::now();
        platform.register("workers", WORKERS).await;
        platform.until_known(2).await;
        platform.delete("workers").await;
        platform.until_known(1).await;
        // Two intervals, on a machine with other work; the default interval alone is longer.
        assert!(written.elapsed() < Duration::from_secs(20), "{:?}", written.elapsed());
    }
    let metrics = platform.http.get(platform.catalogd.url().join("metrics").unwrap()).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.lines().any(|line| line == "catalogd_watchers 1"), "the other one alone: {metrics}");

    watching.stop().await;
    until_it_says(&platform, "following catalogd").await;
    assert_eq!(platform.schema().await, json!([["jobs", 1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_its_own_writes_where_nothing_is_followed() {
    let (platform, _watching) = refused(NEVER).await;
    for version in 1..=3 {
        platform.register("workers", WORKERS).await;
        if version == 1 {
            let metrics = platform.get("metrics").await;
            assert!(metrics.contains("queryd_datasets 1\n"), "nobody has told of it: {metrics}");
        }
        assert_eq!(platform.rows(COUNT).await, json!([[100 * version]]));
    }
    assert_eq!(platform.rows("SHOW TABLES").await, json!([["jobs"], ["workers"]]));
    assert_eq!(platform.schema().await, json!([["jobs", 1], ["workers", 3]]));
    platform.delete("workers").await;
    assert_eq!(platform.ask(json!({ "sql": COUNT })).await.0, 400);
    assert_eq!(platform.rows("SHOW TABLES").await, json!([["jobs"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_was_cut_is_taken_up_again() {
    let (platform, relay) = relayed(NEVER).await;
    relay.cut();
    until("degraded", || async { (platform.json("health").await["status"] == "degraded").then_some(()) }).await;
    assert_eq!(platform.json("health/readiness").await["status"], "ok", "what needs no dataset is served");
    for name in ["workers", "another"] {
        platform.register(name, WORKERS).await;
    }
    platform.register("workers", WORKERS).await;
    platform.delete("jobs").await;
    let (status, body) = platform.ask(json!({ "sql": COUNT })).await;
    // 502 where the connection breaks off under the question.
    assert!(matches!(status, 502 | 503) && body["detail"].to_string().contains("catalogd"), "{status} {body}");

    relay.lead_to(&platform.catalogd.url());
    until_it_says(&platform, "following catalogd").await;
    // Two are new and one is gone; nothing was asked for, so it was told.
    platform.until_known(2).await;
    assert_eq!(platform.rows(COUNT).await, json!([[200]]));
    assert_eq!(platform.schema().await, json!([["another", 1], ["workers", 2]]));
    // And it is followed from here.
    platform.delete("another").await;
    platform.until_known(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogd_that_was_restarted_is_followed_from_the_beginning() {
    let (mut platform, relay) = relayed(NEVER).await;
    for _ in 0..3 {
        platform.register("workers", WORKERS).await;
    }
    platform.until_known(2).await;
    relay.cut();
    // Neither does queryd hear of this, nor will the next catalogd tell it as a change.
    platform.delete("jobs").await;
    platform.replace_catalogd().await.stop().await;
    relay.lead_to(&platform.catalogd.url());
    until_it_says(&platform, "following catalogd").await;
    platform.until_known(1).await;
    assert_eq!(platform.rows(COUNT).await, json!([[300]]));
    platform.register("workers", WORKERS).await;
    assert_eq!(platform.rows(COUNT).await, json!([[400]]));
    platform.register("another", JOBS).await;
    platform.until_known(2).await;
}

/// Questions that catalogd was asked.
async fn resolved(platform: &Platform) -> u64 {
    let metrics = platform.http.get(platform.catalogd.url().join("metrics").unwrap()).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let counts = metrics.lines().filter(|line| line.starts_with("http_requests_total{"));
    let counts = counts.filter(|line| line.contains("CatalogInternal"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_watch_is_made_sure_of_and_is_well() {
    let mut relay = None;
    let platform = Platform::start_with(|config| {
        config.catalogd_url = relay.insert(Relay::to(&config.catalogd_url)).url();
        config.refresh_every = Duration::from_millis(200);
        config.resolve_timeout = Duration::from_millis(500);
    })
    .await;
    let relay = relay.unwrap();
    until_it_says(&platform, "following catalogd").await;
    let before = resolved(&platform).await;
    // Nothing happens, and so nothing is told: it is asked for, and found to be so.
    until("three questions", || async { (resolved(&platform).await >= before + 3).then_some(()) }).await;
    let catalog = platform.json("health").await["components"]["catalog"].take();
    assert_eq!(catalog, json!({ "status": "ok", "detail": "following catalogd" }));
    relay.stall();
    until_it_says(&platform, "catalogd cannot be reached").await;
    relay.lead_to(&platform.catalogd.url());
    until_it_says(&platform, "following catalogd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogd_that_does_not_answer_takes_no_statement_beyond_its_time() {
    let (platform, relay) = relayed(NEVER).await;
    platform.register("workers", WORKERS).await;
    assert_eq!(platform.rows(COUNT).await, json!([[100]]));
    relay.stall();
    let asked = Instant::now();
    let (status, body) = platform.ask(json!({ "sql": COUNT, "timeout_ms": 1_000 })).await;
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}: {status} {body}", asked.elapsed());
    assert!(matches!(status, 503 | 504), "{status} {body}");
    // Whoever asks for no dataset is not concerned.
    assert_eq!(platform.rows("SELECT 1").await, json!([[1]]));
    relay.lead_to(&platform.catalogd.url());
    until("answers again", || async {
        let (status, body) = platform.ask(json!({ "sql": COUNT })).await;
        (status == 200 && body["rows"] == json!([[100]])).then_some(())
    })
    .await;
}
