use std::time::Duration;

use reqwest::StatusCode;
use uuid::Uuid;

use crate::platform::{Platform, people, until};

/// One that collects at once whatever two versions do not use.
fn eager(config: &mut catalogd::Config) {
    config.gc_every = Duration::from_millis(50);
    config.gc_grace = Duration::ZERO;
    config.versions_kept = 2;
}

/// One that never does.
fn patient(config: &mut catalogd::Config) {
    config.gc_every = Duration::from_secs(3_600);
}

#[tokio::test]
async fn what_no_kept_version_uses_is_collected() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd_with(patient).await;
    platform.upload("a.parquet", people(3)).await;
    let replace = serde_json::json!({ "name": "workers", "op": "replace", "objects": [{ "key": "a.parquet" }] });
    for _ in 0..4 {
        assert!(catalogd.post(replace.clone()).await.0.is_success());
    }
    catalogd.register("kept", &["a.parquet"]).await;
    catalogd.register("gone", &["a.parquet"]).await;
    catalogd.delete("v1/catalog/datasets/gone").await;
    // Of an ingest that never came to its end.
    platform.plant(&format!("datasets/{}/{}.parquet", Uuid::new_v4(), Uuid::now_v7()), people(1)).await;
    assert_eq!(platform.keys("datasets/").await.len(), 7);
    assert_eq!(platform.keys("_catalog/").await.len(), 7);
    catalogd.server.stop().await;

    let catalogd = platform.catalogd_with(eager).await;
    let objects = until("what is unused is gone", || async {
        let keys = platform.keys("datasets/").await;
        (keys.len() <= 3).then_some(keys)
    })
    .await;
    assert_eq!(objects.len(), 3, "two of workers, one of kept");
    let manifests = platform.keys("_catalog/").await;
    assert_eq!(manifests.len(), 4, "two of workers, one of kept, the tombstone: {manifests:?}");
    assert_eq!(catalogd.get("v1/catalog/datasets/workers?version=3").await.status(), StatusCode::OK);
    assert_eq!(catalogd.get("v1/catalog/datasets/workers?version=2").await.status(), StatusCode::NOT_FOUND);
    let named = catalogd.dataset("workers").await["objects"][0]["key"].as_str().unwrap().to_owned();
    assert!(objects.contains(&named));
    catalogd.server.stop().await;
    let catalogd = platform.catalogd_with(patient).await;
    assert_eq!(catalogd.register("gone", &["a.parquet"]).await["version"], 3, "numbers go on");
}

#[tokio::test]
async fn a_dataset_with_poison_loses_nothing() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd_with(patient).await;
    platform.upload("a.parquet", people(3)).await;
    let replace =
        |name: &str| serde_json::json!({ "name": name, "op": "replace", "objects": [{ "key": "a.parquet" }] });
    for name in ["sick", "well"] {
        for _ in 0..4 {
            assert!(catalogd.post(replace(name)).await.0.is_success());
        }
    }
    platform.plant(&format!("_catalog/manifests/sick/{:020}.parquet", 5), b"poison".to_vec()).await;
    catalogd.server.stop().await;
    let catalogd = platform.catalogd_with(eager).await;
    let well = catalogd.dataset("well").await["dataset_id"].as_str().unwrap().to_owned();
    until("well is collected", || async {
        (platform.keys(&format!("datasets/{well}/")).await.len() == 2).then_some(())
    })
    .await;
    catalogd.server.stop().await;
    assert_eq!(platform.keys("_catalog/manifests/sick/").await.len(), 5);
    assert_eq!(platform.keys("datasets/").await.len(), 4 + 2);
}

#[tokio::test]
async fn what_is_young_is_left_alone() {
    let platform = Platform::start().await;
    let orphan = format!("datasets/{}/{}.parquet", Uuid::new_v4(), Uuid::now_v7());
    platform.plant(&orphan, people(1)).await;
    let catalogd = platform
        .catalogd_with(|config| {
            eager(config);
            config.gc_grace = Duration::from_secs(3_600);
        })
        .await;
    platform.upload("a.parquet", people(3)).await;
    for _ in 0..4 {
        catalogd.register("workers", &["a.parquet"]).await;
    }
    // A collector without grace on the same bucket would take it: this one has seen it and not.
    until("some passes of the collector", || async {
        let metrics = catalogd.get("metrics").await.text().await.unwrap();
        let passes = metrics.lines().find_map(|line| line.strip_prefix("catalogd_collections_total "));
        passes.and_then(|count| count.parse::<u64>().ok()).filter(|count| *count >= 3)
    })
    .await;
    assert!(platform.keys("datasets/").await.contains(&orphan));
    assert_eq!(platform.keys("_catalog/").await.len(), 4);
}
