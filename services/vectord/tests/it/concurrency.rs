//! Searches beside writers and snapshots. That none of them waits is shown where writers can be held still:
//! `src/memory/tests/waiting.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::task::JoinSet;

use crate::process::Process;

const ITEMS: usize = 400;
const ROUNDS: u64 = 30;
const K: usize = 20;

/// Whoever sees an item's vector knows its revision by it.
fn item(at: usize, revision: u64) -> Value {
    json!({
        "id": format!("i-{at:03}"),
        "vector": [at as f64, revision as f64 / 1000.0],
        "metadata": { "at": at, "revision": revision, "even": revision.is_multiple_of(2) },
    })
}

/// No answer is short, has an item twice, mixes an item's revisions, or has one that the filter excludes.
fn check(answer: &Value, filtered: bool) {
    let results = answer["results"].as_array().unwrap();
    let mut ids: Vec<&str> = results.iter().map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((results.len(), ids.len()), (K, K), "{answer}");
    for one in results {
        let (at, revision) = (one["metadata"]["at"].as_f64().unwrap(), one["metadata"]["revision"].as_f64().unwrap());
        let vector: Vec<f64> = serde_json::from_value(one["vector"].clone()).unwrap();
        assert_eq!(vector[0], at, "{one}");
        assert!((vector[1] - revision / 1000.0).abs() < 1e-6, "a mixture: {one}");
        let distance = (vector[0] - 100.0).powi(2) + vector[1].powi(2);
        assert!((one["distance"].as_f64().unwrap() - distance).abs() <= 1e-3 * (1.0 + distance), "{one}");
        assert!(!filtered || one["metadata"]["at"].as_u64().unwrap() < 200, "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_see_whole_items_while_all_of_them_are_replaced() {
    let data = tempdir().unwrap();
    let process = Arc::new(Process::start(data.path(), &["vectord.fsync=false"]).await);
    process.ok("", &json!({ "name": "busy", "dimension": 2, "distance": "l2", "m": 8 })).await;
    let all = |revision| json!({ "items": (0..ITEMS).map(|at| item(at, revision)).collect::<Vec<_>>() });
    process.ok("/busy/add", &all(0)).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut searchers = JoinSet::new();
    for path in ["", "at", "new"] {
        let (process, done) = (process.clone(), done.clone());
        searchers.spawn(async move {
            let mut search = json!({ "vector": [100, 0], "k": K, "with_vector": true });
            let mut searches = 0;
            while !done.load(Ordering::Relaxed) {
                match path {
                    "at" => search["filter"] = json!({ "at": { "$lt": 200 } }),
                    // Each time the first to use its path.
                    "new" => {
                        let path = format!("new-{searches}");
                        search["filter"] = json!({ "at": { "$lt": 200 }, path: { "$exists": false } });
                    }
                    _ => {}
                }
                check(&process.ok("/busy/search", &search).await, !path.is_empty());
                searches += 1;
            }
            searches
        });
    }
    for revision in 1..=ROUNDS {
        let answer = process.ok("/busy/add", &all(revision)).await;
        assert_eq!(answer, json!({ "added": 0, "updated": ITEMS }));
        // Metadata alone changes in place.
        let described = json!({ "items": [{ "id": "i-100", "metadata": { "at": 100, "revision": revision } }] });
        process.ok("/busy/add", &described).await;
        if revision.is_multiple_of(10) {
            process.ok("/busy/snapshot", &json!({})).await;
        }
    }
    done.store(true, Ordering::Relaxed);
    let searches = searchers.join_all().await;
    assert!(searches.iter().all(|searches| *searches > 5), "{searches:?}");
    assert_eq!(process.info("busy").await["count"], ITEMS);
}
