use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use proto::internal::v1::{ResolveRequest, Wanted};
use reqwest::StatusCode;
use serde_json::json;
use testbed::Relay;
use tokio::time::timeout;

use crate::platform::{Platform, people, until};

/// Two catalogd on one bucket, many writers on each: no version is lost, none doubled.
#[tokio::test(flavor = "multi_thread")]
async fn writers_on_two_replicas_lose_and_double_nothing() {
    const WRITERS: usize = 12;
    let platform = Platform::start().await;
    let left = platform.catalogd_with(|config| config.shared = true).await;
    let right = platform.catalogd_with(|config| config.shared = true).await;
    for n in 0..2 * WRITERS {
        platform.upload(&format!("{n}.parquet"), people(n as i64 + 1)).await;
    }
    let write = |n: usize| {
        let catalogd = if n.is_multiple_of(2) { &left } else { &right };
        async move { catalogd.register("workers", &[&format!("{n}.parquet")]).await }
    };
    let answers = join_all((0..2 * WRITERS).map(write)).await;
    let versions: BTreeSet<u64> = answers.iter().map(|answer| answer["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=2 * WRITERS as u64).collect(), "each its own, without a gap");
    for catalogd in [&left, &right] {
        let dataset = catalogd.dataset("workers").await;
        let rows: BTreeSet<u64> =
            dataset["objects"].as_array().unwrap().iter().map(|object| object["rows"].as_u64().unwrap()).collect();
        assert_eq!(rows, (1..=2 * WRITERS as u64).collect(), "every object once");
        assert_eq!(dataset["version"], 2 * WRITERS);
    }
}

/// The creation of a name is a race with one winner.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_creates_wins() {
    let platform = Platform::start().await;
    let left = platform.catalogd().await;
    let right = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    let create = |n: usize| {
        let catalogd = if n.is_multiple_of(2) { &left } else { &right };
        catalogd.post(json!({ "name": "workers", "op": "create", "objects": [{ "key": "a.parquet" }] }))
    };
    let mut answers = BTreeMap::new();
    for (status, _) in join_all((0..10).map(create)).await {
        *answers.entry(status).or_insert(0) += 1;
    }
    assert_eq!(answers, BTreeMap::from([(StatusCode::CREATED, 1), (StatusCode::CONFLICT, 9)]));
    assert_eq!(platform.keys("datasets/").await.len(), 1, "the losers' copies are gone");
}

/// Whatever a reader sees while versions are written is one of them, whole.
#[tokio::test(flavor = "multi_thread")]
async fn readers_see_whole_versions_only() {
    let platform = Platform::start().await;
    let writer = platform.catalogd().await;
    let reader = platform.catalogd_with(|config| config.refresh_every = Duration::from_millis(1)).await;
    platform.upload("a.parquet", people(2)).await;
    writer.register("workers", &["a.parquet"]).await;
    let writing = async {
        for _ in 0..20 {
            writer.register("workers", &["a.parquet"]).await;
        }
    };
    let reading = async {
        let mut last = 0;
        while last < 21 {
            for catalogd in [&writer, &reader] {
                let (status, seen) = catalogd.json("v1/catalog/datasets/workers").await;
                if status == StatusCode::NOT_FOUND && catalogd.url("") == reader.url("") && last == 0 {
                    continue;
                }
                let version = seen["version"].as_u64().unwrap();
                assert_eq!(seen["rows"], 2 * version);
                assert_eq!(seen["objects"].as_array().unwrap().len() as u64, version);
                if catalogd.url("") == reader.url("") {
                    assert!(version >= last, "never back");
                    last = version;
                }
            }
        }
    };
    let both = async { tokio::join!(writing, reading) };
    timeout(Duration::from_secs(60), both).await.expect("the other replica's last version is seen");
}

/// A statement sent to the other replica right after a write sees it.
#[tokio::test]
async fn writes_are_read_through_the_other_replica() {
    let platform = Platform::start().await;
    let never = |config: &mut catalogd::Config| {
        config.shared = true;
        config.refresh_every = Duration::from_secs(3_600);
    };
    let left = platform.catalogd_with(never).await;
    let right = platform.catalogd_with(never).await;
    platform.upload("a.parquet", people(3)).await;
    left.register("workers", &["a.parquet"]).await;
    assert_eq!(right.dataset("workers").await["version"], 1, "a name that was not known");
    left.register("workers", &["a.parquet"]).await;
    let wanted = Wanted { name: "workers".into(), version: 0, known_version: 1 };
    let request = ResolveRequest { wanted: vec![wanted], ..Default::default() };
    let resolved = right.internal().resolve(request).await.unwrap().into_inner();
    let Some(proto::internal::v1::resolved::Outcome::Manifest(manifest)) = &resolved.resolved[0].outcome else {
        panic!("the new version: {resolved:?}")
    };
    assert_eq!(manifest.version, 2);
    right.register("workers", &["a.parquet"]).await;
    assert_eq!(left.delete("v1/catalog/datasets/workers").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(right.get("v1/catalog/datasets/workers").await.status(), StatusCode::NOT_FOUND);
}

/// Nothing is read from storage or written to it while a lock is held that others want.
#[tokio::test(flavor = "multi_thread")]
async fn while_storage_does_not_answer_who_asks_is_answered() {
    let platform = Platform::start().await;
    let way = Relay::to(&platform.storaged.url());
    let catalogd = platform.catalogd_with(|config| config.storaged_url = way.url()).await;
    for key in ["a.parquet", "b.parquet"] {
        platform.upload(key, people(3)).await;
    }
    for name in ["crew", "jobs", "old"] {
        catalogd.register(name, &["a.parquet"]).await;
    }
    way.stall();
    let register = catalogd.register("crew", &["b.parquet"]);
    let delete = catalogd.delete("v1/catalog/datasets/old");
    let answers = async {
        until("both writers wait for storage", || async {
            let metrics = catalogd.get("metrics").await.text().await.unwrap();
            let in_flight = metrics.lines().find_map(|line| line.strip_prefix("http_requests_in_flight "));
            // With the one that asks.
            in_flight.and_then(|count| count.parse::<u32>().ok()).filter(|count| *count > 2)
        })
        .await;
        for name in ["crew", "jobs", "old"] {
            assert_eq!(catalogd.dataset(name).await["version"], 1, "{name}");
        }
        let (_, listed) = catalogd.json("v1/catalog/datasets").await;
        assert_eq!(listed["datasets"].as_array().unwrap().len(), 3);
        let wanted = ["crew", "jobs"].map(|name| Wanted { name: name.into(), ..Wanted::default() });
        let asked = ResolveRequest { wanted: wanted.into(), ..ResolveRequest::default() };
        assert_eq!(catalogd.internal().resolve(asked).await.unwrap().into_inner().resolved.len(), 2);
        assert_eq!(catalogd.get("health/liveness").await.status(), StatusCode::OK);
    };
    let answered = async {
        timeout(Duration::from_secs(3), answers).await.expect("answers wait for storage");
        way.lead_to(&platform.storaged.url());
    };
    let (registered, deleted, ()) = tokio::join!(register, delete, answered);
    assert_eq!((&registered["version"], deleted.status()), (&json!(2), StatusCode::NO_CONTENT));
    assert_eq!(catalogd.dataset("crew").await["version"], 2);
}
