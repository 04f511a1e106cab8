//! That no task holds a worker: what computes or waits is on a pool.

use serde_json::{Value, json};

use crate::platform::Platform;

const DIMENSION: usize = 256;

fn vector(n: usize) -> Vec<f32> {
    (0..DIMENSION).map(|at| ((n * 31 + at * 17) as f32 * 0.37).sin()).collect()
}

fn items(from: usize, count: usize) -> Vec<Value> {
    let item = |n| json!({ "id": format!("w-{n}"), "vector": vector(n), "metadata": { "n": n, "even": n % 2 == 0 } });
    (from..from + count).map(item).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_leave_the_worker_free() {
    let platform = Platform::watched().await;
    platform.create("crew", DIMENSION, "cosine").await;
    for batch in 0..5 {
        platform.done("index/crew/add", json!({ "items": items(batch * 1_000, 1_000) })).await;
    }
    for n in 0..50 {
        let asked = json!({ "vector": vector(n), "k": 10, "filter": { "even": n % 2 == 0 } });
        platform.done("index/crew/search", asked).await;
    }
    let many: Vec<_> = (0..100).map(vector).collect();
    platform.done("index/crew/search", json!({ "vectors": many, "k": 100, "exact": true, "with_vector": true })).await;
    platform.done("index/crew/scroll", json!({ "limit": 1_000, "with_vector": true })).await;
    platform.done("index/crew/count", json!({ "filter": { "n": { "$gte": 100 } } })).await;
    platform.done("index/crew/snapshot", json!({})).await;
    platform.done("index/crew/delete", json!({ "filter": { "even": true } })).await;
    platform.done("index/crew/compact", json!({})).await;
    platform.vectord.held().assert_short();
}
