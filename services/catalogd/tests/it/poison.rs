use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::platform::{Catalogd, Platform, people, until};

fn quick(config: &mut catalogd::Config) {
    config.refresh_every = Duration::from_millis(20);
}

fn key(name: &str, version: u64) -> String {
    format!("_catalog/manifests/{name}/{version:020}.parquet")
}

async fn health(catalogd: &Catalogd) -> serde_json::Value {
    catalogd.json("health").await.1
}

#[tokio::test]
async fn a_poison_manifest_stays_one_bad_thing() {
    let platform = Platform::start().await;
    platform.upload("a.parquet", people(3)).await;
    let catalogd = platform.catalogd_with(quick).await;
    for name in ["first", "second", "third"] {
        catalogd.register(name, &["a.parquet"]).await;
    }
    platform.plant(&key("second", 2), b"half a manif".to_vec()).await;
    platform.plant(&key("never_good", 1), b"PAR1PAR1PAR1PAR1".to_vec()).await;
    platform.plant(&key("Not A Name", 1), b"x".to_vec()).await;
    let told = until("every poison is reported", || async {
        let health = health(&catalogd).await;
        let degraded = |name: &&str| health["components"][format!("manifest:{name}")]["status"] == "degraded";
        ["second", "never_good", "Not A Name"].iter().all(degraded).then_some(health)
    })
    .await;
    assert_eq!(told["status"], "degraded");
    assert!(told["components"]["manifest:second"]["detail"].as_str().unwrap().starts_with("version 2: "), "{told}");
    let metrics = catalogd.get("metrics").await.text().await.unwrap();
    assert!(metrics.contains(r#"catalogd_poison_manifests{dataset="second"} 1"#), "{metrics}");
    assert_eq!(catalogd.get("health/readiness").await.status(), StatusCode::OK);

    served_around_the_poison(&catalogd).await;
    catalogd.server.stop().await;
    // The same for one that finds it at its start.
    let catalogd = platform.catalogd_with(quick).await;
    served_around_the_poison(&catalogd).await;

    platform.objects().delete(proto::v1::DeleteRequest { key: key("second", 2) }).await.unwrap();
    until("the poison is gone", || async {
        (health(&catalogd).await["components"]["manifest:second"] == json!(null)).then_some(())
    })
    .await;
    assert_eq!(catalogd.register("second", &["a.parquet"]).await["version"], 2);
}

async fn served_around_the_poison(catalogd: &Catalogd) {
    let read = catalogd.dataset("second").await;
    assert_eq!(read["version"], 1, "reads are answered from what can be read");
    let (status, problem) = catalogd.post(json!({ "name": "second", "objects": [{ "key": "a.parquet" }] })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert!(problem["detail"].as_str().unwrap().contains("version 2"), "nothing is built on it: {problem}");
    let (status, _) = catalogd.post(json!({ "name": "never_good", "objects": [{ "key": "a.parquet" }] })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(catalogd.get("v1/catalog/datasets/never_good").await.status(), StatusCode::NOT_FOUND);
    let version = catalogd.dataset("first").await["version"].as_u64().unwrap();
    assert_eq!(catalogd.register("first", &["a.parquet"]).await["version"], version + 1, "others go on");
    let listed = catalogd.json("v1/catalog/datasets").await.1;
    assert_eq!(listed["datasets"].as_array().unwrap().len(), 3, "{listed}");
}

#[tokio::test]
async fn a_manifest_of_another_dataset_is_poison() {
    let platform = Platform::start().await;
    platform.upload("a.parquet", people(3)).await;
    let catalogd = platform.catalogd_with(quick).await;
    catalogd.register("first", &["a.parquet"]).await;
    let copy = proto::internal::v1::CopyRequest {
        source: key("first", 1),
        target: key("second", 1),
        source_if_match: String::new(),
    };
    platform.objects().copy(copy).await.unwrap();
    let told = until("it is reported", || async {
        let component = health(&catalogd).await["components"]["manifest:second"].clone();
        (component != json!(null)).then_some(component)
    })
    .await;
    assert_eq!(told["detail"], "version 1: it says that it is version 1 of first");
}
