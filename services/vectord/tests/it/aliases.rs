use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::platform::{Platform, ids};

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_made_moved_and_deleted() {
    let platform = Platform::start().await;
    for name in ["blue", "green"] {
        platform.create(name, 2, "dot").await;
        let items = json!({ "items": [{ "id": name, "vector": [1, 1] }] });
        platform.done(&format!("index/{name}/add"), items).await;
    }
    assert_eq!(platform.get("alias").await.1, json!({ "aliases": [], "next_cursor": null }));
    for name in ["blue", "green"] {
        let set = platform.put("alias/live", json!({ "index": name })).await;
        assert_eq!(set, (StatusCode::OK, json!({ "alias": "live", "index": name })));
        let found = platform.done("index/live/search", json!({ "vector": [1, 0] })).await;
        assert_eq!(ids(&found["results"]), [name]);
        assert_eq!(platform.get("index/live").await.1["name"], name);
    }
    let aliases = json!({ "aliases": [{ "alias": "live", "index": "green" }], "next_cursor": null });
    assert_eq!(platform.get("alias").await.1, aliases);
    assert_eq!(platform.delete("index/live").await.0, StatusCode::CONFLICT, "an alias is no index to delete");
    assert_eq!(platform.delete("alias/live").await, (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(platform.delete("alias/live").await.0, StatusCode::NOT_FOUND);
    assert_eq!(platform.get("index/live").await.0, StatusCode::NOT_FOUND);
    assert_eq!(platform.get("index/green").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_alias_can_be_is_refused() {
    let platform = Platform::start().await;
    platform.create("a", 2, "dot").await;
    platform.put("alias/live", json!({ "index": "a" })).await;
    for (path, asked, status) in [
        ("alias/live", json!({ "index": "nobody" }), StatusCode::NOT_FOUND),
        ("alias/other", json!({ "index": "live" }), StatusCode::NOT_FOUND),
        ("alias/a", json!({ "index": "a" }), StatusCode::CONFLICT),
        ("alias/-x", json!({ "index": "a" }), StatusCode::BAD_REQUEST),
        ("alias/live", json!({ "index": "a", "force": true }), StatusCode::BAD_REQUEST),
        ("alias/live", json!({}), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(platform.put(path, asked.clone()).await.0, status, "{path} {asked}");
    }
    let taken = json!({ "name": "live", "dimension": 2, "distance": "dot" });
    platform.refused("index", taken, 409).await;
    assert_eq!(platform.get("alias").await.1["aliases"], json!([{ "alias": "live", "index": "a" }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_alias_moves_while_searches_run_and_none_misses_it() {
    let platform = Arc::new(Platform::start().await);
    for name in ["blue", "green"] {
        platform.create(name, 2, "dot").await;
        let items = json!({ "items": [{ "id": name, "vector": [1, 1] }] });
        platform.done(&format!("index/{name}/add"), items).await;
    }
    platform.put("alias/live", json!({ "index": "blue" })).await;
    let moving = Arc::new(AtomicBool::new(true));
    let answered = Arc::new(AtomicUsize::new(0));
    let searchers: Vec<_> = (0..4)
        .map(|_| {
            let (platform, moving, answered) = (platform.clone(), moving.clone(), answered.clone());
            tokio::spawn(async move {
                while moving.load(Ordering::Relaxed) {
                    let (status, found) = platform.post("index/live/search", json!({ "vector": [1, 0] })).await;
                    assert_eq!(status, StatusCode::OK, "{found}");
                    assert!(["blue", "green"].contains(&ids(&found["results"])[0]), "{found}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut moves = 0;
    // A searcher that has ended has failed.
    let searching = || searchers.iter().all(|searcher| !searcher.is_finished());
    while searching() && (moves < 40 || answered.load(Ordering::Relaxed) < 200) {
        let index = ["green", "blue"][moves % 2];
        assert_eq!(platform.put("alias/live", json!({ "index": index })).await.0, StatusCode::OK);
        moves += 1;
    }
    moving.store(false, Ordering::Relaxed);
    for searcher in searchers {
        searcher.await.unwrap();
    }
}
