//! What the first version of this service could do.

use reqwest::StatusCode;
use serde_json::json;

use crate::platform::{Platform, workers};

#[tokio::test(flavor = "multi_thread")]
async fn the_seven_checks_of_the_first_version() {
    let platform = Platform::start().await;
    let created = platform.create("workers_idx", 3, "cosine").await;
    assert_eq!((&created["name"], &created["dimension"]), (&json!("workers_idx"), &json!(3)));

    let (_, list) = platform.get("index").await;
    assert_eq!(list["indexes"][0]["name"], "workers_idx");

    let items = workers(200);
    let added = platform.done("index/workers_idx/add", json!({ "items": items })).await;
    assert_eq!(added, json!({ "added": 200, "updated": 0 }));

    let query = json!({ "vector": items[42]["vector"], "k": 3 });
    let found = platform.done("index/workers_idx/search", query).await;
    assert_eq!(found["results"][0]["id"], "w-042");
    assert!(found["results"][0]["distance"].as_f64().unwrap().abs() < 1e-6, "{found}");

    platform.refused("index/workers_idx/search", json!({ "vector": [1, 2] }), 400).await;
    platform.refused("index/nobody/search", json!({ "vector": [1, 2, 3] }), 404).await;
    let again = json!({ "name": "workers_idx", "dimension": 3, "distance": "cosine" });
    let (status, problem) = platform.post("index", again).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already_exists")));
}
