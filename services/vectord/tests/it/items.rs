use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::platform::{Platform, ids, workers};

#[tokio::test(flavor = "multi_thread")]
async fn an_item_comes_back_as_it_went_in() {
    let platform = Platform::start().await;
    platform.create("a", 2, "l2").await;
    let metadata =
        json!({ "role": "Schweißer", "skills": ["a", "b"], "pay": 21.5, "none": null, "deep": { "x": [{}] } });
    let odd = "a/b//é %?\"#\u{1}";
    let items =
        json!([{ "id": odd, "vector": [1.25, -2e-7], "metadata": metadata }, { "id": "bare", "vector": [0, 0] }]);
    platform.done("index/a/add", json!({ "items": items })).await;
    let (status, item) = platform.get("index/a/items/a/b//%C3%A9%20%25%3F%22%23%01").await;
    assert_eq!((status, item), (StatusCode::OK, json!({ "id": odd, "vector": [1.25, -2e-7], "metadata": metadata })));
    let (_, slashes) = platform.get("index/a/items/a%2Fb%2F%2F%C3%A9%20%25%3F%22%23%01").await;
    assert_eq!(slashes["id"], odd);
    assert_eq!(
        platform.get("index/a/items/bare").await.1,
        json!({ "id": "bare", "vector": [0.0, 0.0], "metadata": {} })
    );
    for missing in ["index/a/items/nobody", "index/b/items/bare", "index/a/items/"] {
        assert_eq!(platform.get(missing).await.0, StatusCode::NOT_FOUND, "{missing}");
    }
    assert_eq!(platform.get("index/a/items/%FF").await.0, StatusCode::BAD_REQUEST, "no UTF-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn left_out_stays_and_empty_clears() {
    let platform = Platform::start().await;
    platform.create("a", 2, "l2").await;
    let add = async |item: Value| platform.done("index/a/add", json!({ "items": [item] })).await;
    let metadata = async || platform.get("index/a/items/x").await.1["metadata"].clone();
    assert_eq!(
        add(json!({ "id": "x", "vector": [1, 2], "metadata": { "n": 1 } })).await,
        json!({ "added": 1, "updated": 0 })
    );
    assert_eq!(add(json!({ "id": "x", "vector": [3, 4] })).await, json!({ "added": 0, "updated": 1 }));
    assert_eq!(metadata().await, json!({ "n": 1 }), "left out, it stays");
    add(json!({ "id": "x", "metadata": { "m": 2 } })).await;
    let (_, item) = platform.get("index/a/items/x").await;
    assert_eq!(item, json!({ "id": "x", "vector": [3.0, 4.0], "metadata": { "m": 2 } }), "the vector stays");
    let found = platform.done("index/a/search", json!({ "vector": [3, 4], "filter": { "m": 2 } })).await;
    assert_eq!(ids(&found["results"]), ["x"], "the new metadata is found");
    add(json!({ "id": "x", "vector": [3, 4], "metadata": {} })).await;
    assert_eq!(metadata().await, json!({}), "empty clears");
    add(json!({ "id": "x", "metadata": { "m": 3 } })).await;
    add(json!({ "id": "x", "metadata": null })).await;
    assert_eq!(metadata().await, json!({}), "null clears");
    let refused = platform.refused("index/a/add", json!({ "items": [{ "id": "new", "metadata": {} }] }), 400).await;
    assert!(refused.starts_with("items[0]"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_item_can_go_and_come_back() {
    let platform = Platform::start().await;
    platform.create("a", 2, "cosine").await;
    let item = json!({ "items": [{ "id": "x", "vector": [1, 0], "metadata": { "n": 1 } }] });
    for _ in 0..3 {
        assert_eq!(platform.done("index/a/add", item.clone()).await, json!({ "added": 1, "updated": 0 }));
        let found = platform.done("index/a/search", json!({ "vector": [1, 0] })).await;
        assert_eq!(ids(&found["results"]), ["x"]);
        assert_eq!(platform.done("index/a/delete", json!({ "ids": ["x", "y"] })).await, json!({ "deleted": 1 }));
        let found = platform.done("index/a/search", json!({ "vector": [1, 0] })).await;
        assert_eq!(found, json!({ "results": [] }));
        assert_eq!(platform.get("index/a/items/x").await.0, StatusCode::NOT_FOUND);
    }
    platform.done("index/a/add", json!({ "items": [{ "id": "x", "vector": [0, 1] }] })).await;
    assert_eq!(platform.get("index/a/items/x").await.1["metadata"], json!({}), "what was deleted is not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_item_refuses_the_batch_and_is_named() {
    let platform = Platform::with(|config| config.metadata_bytes_max = 100).await;
    platform.create("cosine", 2, "cosine").await;
    platform.create("l2", 2, "l2").await;
    let good = json!({ "id": "good", "vector": [1, 2] });
    let long = json!({ "x": "y".repeat(100) });
    for (index, bad, place) in [
        ("cosine", r#"{"id":"b","vector":[1]}"#.to_owned(), "items[1].vector: 1 numbers"),
        ("cosine", r#"{"id":"b","vector":[]}"#.into(), "items[1].vector: 0 numbers"),
        ("cosine", r#"{"id":"b","vector":[0,0]}"#.into(), "items[1].vector: a zero vector"),
        ("cosine", r#"{"id":"b","vector":[1,NaN]}"#.into(), "items[1].vector[1]: "),
        ("cosine", r#"{"id":"b","vector":[1,1e39]}"#.into(), "items[1].vector[1]: number out of range"),
        ("cosine", r#"{"id":"b","vector":[1,-1e999]}"#.into(), "items[1].vector[1]: "),
        ("l2", r#"{"id":"b","vector":[1,1e39]}"#.into(), "items[1].vector[1]: number out of range"),
        ("l2", r#"{"id":"b","vector":[1e38,1e38]}"#.into(), "items[1].vector: the vector is too long"),
        ("l2", r#"{"id":"b","vector":"1,2"}"#.into(), "items[1].vector: "),
        ("l2", r#"{"id":"b","vector":null}"#.into(), "items[1].vector: "),
        ("l2", r#"{"id":"","vector":[1,2]}"#.into(), "items[1].id: "),
        ("l2", format!(r#"{{"id":"{}","vector":[1,2]}}"#, "x".repeat(257)), "items[1].id: "),
        ("l2", r#"{"id":"good","vector":[1,2]}"#.into(), "items[1].id: \"good\" is in this batch already"),
        ("l2", r#"{"id":"b"}"#.into(), "items[1]: neither a vector nor a text nor metadata"),
        ("l2", r#"{"id":"b","metadata":{}}"#.into(), "items[1]"),
        ("l2", r#"{"id":"b","vector":[1,2],"metadata":"x"}"#.into(), "items[1].metadata: "),
        ("l2", format!(r#"{{"id":"b","vector":[1,2],"metadata":{long}}}"#), "items[1].metadata: "),
        ("l2", r#"{"id":"b","vector":[1,2],"meta":{}}"#.into(), "items[1].meta: unknown field"),
    ] {
        let body = format!(r#"{{"items":[{good},{bad}]}}"#);
        let path = format!("index/{index}/add");
        let answer = platform.request(reqwest::Method::POST, &path).body(body).send().await.unwrap();
        let (status, problem) = crate::platform::body(answer).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with(place), "{place}: {problem}");
        assert_eq!(platform.get(&format!("index/{index}/items/good")).await.0, StatusCode::NOT_FOUND, "{bad}");
    }
    // Cosine normalises what is vast, so it is no vector too long there.
    platform.done("index/cosine/add", json!({ "items": [{ "id": "b", "vector": [1e38, 1e38] }] })).await;
    let found = platform.done("index/cosine/search", json!({ "vector": [1, 1] })).await;
    assert!(found["results"][0]["distance"].as_f64().unwrap() < 1e-6, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_batch_is_nothing_and_one_too_many_is_413() {
    let platform = Platform::with(|config| {
        config.items_per_batch_max = 5;
        config.import_batch_items = 5;
    })
    .await;
    platform.create("a", 3, "cosine").await;
    assert_eq!(platform.done("index/a/add", json!({ "items": [] })).await, json!({ "added": 0, "updated": 0 }));
    assert_eq!(platform.done("index/a/delete", json!({ "ids": [] })).await, json!({ "deleted": 0 }));
    platform.done("index/a/add", json!({ "items": workers(5) })).await;
    let refused = platform.refused("index/a/add", json!({ "items": workers(6) }), 413).await;
    assert_eq!(refused, "items: 6 exceed 5 (items_per_batch_max)");
    platform.refused("index/a/delete", json!({ "ids": ["1", "2", "3", "4", "5", "6"] }), 413).await;
    platform.refused("index/b/add", json!({ "items": [] }), 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_wants_ids_or_a_filter() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    platform.done("index/a/add", json!({ "items": workers(10) })).await;
    for (body, told) in [
        (json!({}), "exactly one of ids and filter is needed"),
        (json!({ "ids": ["w-001"], "filter": {} }), "exactly one of ids and filter is needed"),
        (json!({ "ids": ["w-001", ""] }), "ids[1]: "),
        (json!({ "ids": ["w-001", 7] }), "ids[1]: "),
        (json!({ "id": "w-001" }), "id: unknown field"),
        (json!({ "filter": { "n": { "$gee": 1 } } }), "filter.n.$gee: "),
    ] {
        let refused = platform.refused("index/a/delete", body, 400).await;
        assert!(refused.starts_with(told), "{told}: {refused}");
    }
    assert_eq!(platform.done("index/a/count", json!({})).await, json!({ "count": 10 }));
    platform.refused("index/b/delete", json!({ "ids": ["w-001"] }), 404).await;
    assert_eq!(platform.done("index/a/delete", json!({ "ids": ["w-001"] })).await, json!({ "deleted": 1 }));
    assert_eq!(
        platform.done("index/a/delete", json!({ "filter": { "role": "driver" } })).await,
        json!({ "deleted": 4 })
    );
    assert_eq!(platform.done("index/a/count", json!({})).await, json!({ "count": 5 }));
}
