//! What a limit answers.

use reqwest::Method;
use serde_json::json;

use crate::platform::{Platform, body, workers};

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_memory_allowed_an_add_is_507_and_stores_nothing() {
    let platform = Platform::with(|config| config.max_memory_bytes = 1 << 20).await;
    platform.create("a", 64, "dot").await;
    let many: Vec<_> = (0..5_000).map(|at| json!({ "id": format!("i-{at}"), "vector": vec![1.0; 64] })).collect();
    let (status, problem) = platform.post("index/a/add", json!({ "items": many })).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (507, Some("insufficient_storage")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("max_memory_bytes"), "{problem}");
    assert_eq!(platform.done("index/a/count", json!({})).await["count"], 0);
    // What asks for no more memory goes on.
    platform.done("index/a/delete", json!({ "ids": ["i-1"] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_backlog_allowed_an_add_is_told_to_come_back() {
    let platform = Platform::with(|config| config.unindexed_items_max = 10).await;
    platform.create("a", 2, "dot").await;
    let batch = |count: usize| {
        let items = (0..count).map(|at| json!({ "id": format!("i-{at}"), "vector": [at, 1] }));
        json!({ "items": items.collect::<Vec<_>>() })
    };
    // Nothing waits yet, so what waits with this batch is the batch.
    let answer = platform.request(Method::POST, "index/a/add").json(&batch(11)).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "5");
    let (status, problem) = body(answer).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("overloaded")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("unindexed_items_max"), "{problem}");
    assert_eq!(platform.done("index/a/count", json!({})).await["count"], 0, "all of a batch or nothing");
    platform.done("index/a/add", batch(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_one_request_name_their_keys() {
    let platform = Platform::with(|config| {
        config.items_per_batch_max = 3;
        config.import_batch_items = 3;
        config.vectors_per_search_max = 2;
        config.k_max = 5;
        config.ef_max = 300;
        config.metadata_bytes_max = 20;
        config.list_limit_max = 4;
        config.aliases_max = 1;
    })
    .await;
    platform.create("a", 2, "dot").await;
    let long = json!([{ "id": "a", "vector": [1, 2], "metadata": { "text": "0123456789" } }]);
    for (path, body, status, told) in [
        ("index/a/add", json!({ "items": workers(4) }), 413, "items_per_batch_max"),
        ("index/a/add", json!({ "items": long }), 400, "metadata_bytes_max"),
        ("index/a/delete", json!({ "ids": ["a", "b", "c", "d"] }), 413, "items_per_batch_max"),
        ("index/a/search", json!({ "vectors": [[1, 2], [1, 2], [1, 2]] }), 413, "vectors_per_search_max"),
        ("index/a/search", json!({ "vector": [1, 2], "k": 6 }), 400, "k_max"),
        ("index/a/search", json!({ "vector": [1, 2], "k": 5, "ef": 301 }), 400, "ef_max"),
        ("index/a/scroll", json!({ "limit": 5 }), 400, "list_limit_max"),
    ] {
        let detail = platform.refused(path, body.clone(), status).await;
        assert!(detail.contains(told), "{path} {body}: {detail}");
    }
    assert_eq!(platform.put("alias/one", json!({ "index": "a" })).await.0, 200);
    let (status, problem) = platform.put("alias/two", json!({ "index": "a" })).await;
    assert_eq!(status, 413);
    assert!(problem["detail"].as_str().unwrap().contains("aliases_max"), "{problem}");
}
