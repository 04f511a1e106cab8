use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::{Platform, body, ids, workers};

#[tokio::test(flavor = "multi_thread")]
async fn every_item_comes_once() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    platform.done("index/a/add", json!({ "items": workers(25) })).await;
    let mut seen = Vec::new();
    let mut asked = json!({ "limit": 10 });
    loop {
        let page = platform.done("index/a/scroll", asked).await;
        seen.extend(ids(&page["items"]).into_iter().map(str::to_owned));
        if page["next_cursor"].is_null() {
            break;
        }
        assert_eq!(page["items"].as_array().unwrap().len(), 10);
        asked = json!({ "limit": 10, "cursor": page["next_cursor"] });
    }
    let all: Vec<_> = (0..25).map(|n| format!("w-{n:03}")).collect();
    seen.sort();
    assert_eq!(seen, all);

    let item = &platform.done("index/a/scroll", json!({ "limit": 1 })).await["items"][0];
    let keys: Vec<_> = item.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "metadata"]);
    let item = &platform.done("index/a/scroll", json!({ "limit": 1, "with_vector": true })).await["items"][0];
    assert_eq!(item["vector"].as_array().unwrap().len(), 3);
    let (status, page) = body(platform.request(Method::POST, "index/a/scroll").send().await.unwrap()).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (StatusCode::OK, 25), "no body is no wish");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_seen_while_others_come_and_go() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    let items = workers(60);
    platform.done("index/a/add", json!({ "items": items[..40] })).await;
    let mut seen = BTreeSet::new();
    let mut cursor = Value::Null;
    let mut round = 0;
    loop {
        let page = platform.done("index/a/scroll", json!({ "limit": 7, "cursor": cursor })).await;
        for id in ids(&page["items"]) {
            assert!(seen.insert(id.to_owned()), "{id} came twice");
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
        // The item that the cursor stands on goes, others come, and others are written anew.
        let last = ids(&page["items"]).last().unwrap().to_string();
        platform.done("index/a/delete", json!({ "ids": [last] })).await;
        platform.done("index/a/add", json!({ "items": [items[40 + round], items[20]] })).await;
        round += 1;
    }
    for n in 0..40 {
        assert!(seen.contains(&format!("w-{n:03}")), "w-{n:03} was there all the time, until it was seen");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_matches_comes_and_is_counted() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    platform.done("index/a/add", json!({ "items": workers(25) })).await;
    let filter = json!({ "role": "welder" });
    let page = platform.done("index/a/scroll", json!({ "filter": filter, "limit": 5 })).await;
    assert!(page["items"].as_array().unwrap().iter().all(|item| item["metadata"]["role"] == "welder"), "{page}");
    let rest = json!({ "filter": filter, "limit": 100, "cursor": page["next_cursor"] });
    let rest = platform.done("index/a/scroll", rest).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (8, &Value::Null));
    assert_eq!(platform.done("index/a/count", json!({ "filter": filter })).await, json!({ "count": 13 }));
    let (_, all) = body(platform.request(Method::POST, "index/a/count").send().await.unwrap()).await;
    assert_eq!(all, json!({ "count": 25 }), "no body is no filter");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_page_is_refused() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    for (asked, told) in [
        (json!({ "cursor": "not one!" }), "cursor: not a next_cursor"),
        (json!({ "cursor": "" }), "cursor: not a next_cursor"),
        (json!({ "cursor": 7 }), "cursor: "),
        (json!({ "limit": -1 }), "limit: "),
        (json!({ "limit": 1001 }), "limit: 1001 exceeds 1000 (list_limit_max)"),
        (json!({ "filter": { "n": { "$foo": 1 } } }), "filter.n.$foo: "),
        (json!({ "offset": 3 }), "offset: unknown field"),
    ] {
        let refused = platform.refused("index/a/scroll", asked, 400).await;
        assert!(refused.starts_with(told), "{told}: {refused}");
    }
    platform.refused("index/a/count", json!({ "filter": 7 }), 400).await;
    platform.refused("index/b/scroll", json!({}), 404).await;
    platform.refused("index/b/count", json!({}), 404).await;
}
