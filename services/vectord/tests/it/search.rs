use serde_json::{Value, json};

use crate::platform::{Platform, ids, workers};

async fn filled() -> Platform {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    platform.done("index/a/add", json!({ "items": workers(50) })).await;
    platform
}

#[tokio::test(flavor = "multi_thread")]
async fn results_have_what_was_asked_for() {
    let platform = filled().await;
    let target = workers(50)[7]["vector"].clone();
    let search = async |more: Value| {
        let mut asked = json!({ "vector": target });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        platform.done("index/a/search", asked).await["results"].clone()
    };
    let plain = search(json!({})).await;
    assert_eq!(plain.as_array().unwrap().len(), 10, "k where it is left out");
    let keys: Vec<_> = plain[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["distance", "id", "metadata", "score"]);
    assert_eq!((&plain[0]["id"], &plain[0]["metadata"]), (&json!("w-007"), &json!({ "n": 7, "role": "driver" })));
    let bare = search(json!({ "with_metadata": false, "with_vector": true, "k": 1 })).await;
    let keys: Vec<_> = bare[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["distance", "id", "score", "vector"]);
    assert_eq!(bare[0]["vector"].as_array().unwrap().len(), 3);
    let exact = search(json!({ "exact": true, "ef": 300 })).await;
    assert_eq!(ids(&exact), ids(&plain), "so few are all looked at");
    let near = search(json!({ "min_score": 0.9999, "k": 50 })).await;
    let scores: Vec<_> = near.as_array().unwrap().iter().map(|found| found["score"].as_f64().unwrap()).collect();
    assert!(!scores.is_empty() && scores.len() < 50 && scores.iter().all(|score| *score >= 0.9999), "{scores:?}");
    assert_eq!(search(json!({ "k": 1000 })).await.as_array().unwrap().len(), 50, "k beyond all there are");
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_follow_from_distances() {
    let platform = Platform::start().await;
    let items = json!([{ "id": "a", "vector": [3, 4] }, { "id": "b", "vector": [0, 2] }]);
    for (distance, results) in [
        ("cosine", json!([["b", 0.0, 1.0], ["a", 0.2, 0.8]])),
        ("l2", json!([["b", 1.0, -1.0], ["a", 18.0, -18.0]])),
        ("dot", json!([["a", -4.0, 4.0], ["b", -2.0, 2.0]])),
    ] {
        platform.create(distance, 2, distance).await;
        platform.done(&format!("index/{distance}/add"), json!({ "items": items })).await;
        let found = platform.done(&format!("index/{distance}/search"), json!({ "vector": [0, 1] })).await;
        for (at, expected) in results.as_array().unwrap().iter().enumerate() {
            let found = &found["results"][at];
            assert_eq!(found["id"], expected[0], "{distance}");
            for (key, value) in [("distance", &expected[1]), ("score", &expected[2])] {
                let off = (found[key].as_f64().unwrap() - value.as_f64().unwrap()).abs();
                assert!(off < 1e-5, "{distance} {key}: {found}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equals_come_by_their_ids() {
    let platform = Platform::start().await;
    platform.create("a", 2, "dot").await;
    let items: Vec<_> = ["d", "b", "é", "a", "c"].iter().map(|id| json!({ "id": id, "vector": [1, 1] })).collect();
    platform.done("index/a/add", json!({ "items": items })).await;
    let found = platform.done("index/a/search", json!({ "vector": [1, 0], "k": 3 })).await;
    assert_eq!(ids(&found["results"]), ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_and_several_vectors_can_be_searched_around() {
    let platform = filled().await;
    let by_id = platform.done("index/a/search", json!({ "id": "w-009", "k": 2 })).await;
    assert_eq!(by_id["results"][0]["id"], "w-009", "itself too");
    let vectors: Vec<_> = [3, 20].map(|n| workers(50)[n]["vector"].clone()).into();
    let lists = platform.done("index/a/search", json!({ "vectors": vectors, "k": 2 })).await;
    let firsts: Vec<_> = lists["results"].as_array().unwrap().iter().map(|list| ids(list)[0]).collect();
    assert_eq!(firsts, ["w-003", "w-020"]);
    let one = platform.done("index/a/search", json!({ "vectors": [vectors[0]], "k": 1 })).await;
    assert_eq!(one["results"][0][0]["id"], "w-003", "a list of lists all the same");
    assert_eq!(platform.done("index/a/search", json!({ "vectors": [] })).await, json!({ "results": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_in_an_empty_index() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    let around = |target: Value| platform.done("index/a/search", target);
    assert_eq!(around(json!({ "vector": [1, 2, 3] })).await, json!({ "results": [] }));
    assert_eq!(around(json!({ "vectors": [[1, 2, 3], [4, 5, 6]] })).await, json!({ "results": [[], []] }));
    platform.refused("index/a/search", json!({ "id": "nobody" }), 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_searched_for_is_refused() {
    let platform = filled().await;
    let good = [1.0, 2.0, 3.0];
    for (body, told) in [
        (json!({}), "exactly one of vector, id, text, vectors and texts is needed"),
        (json!({ "vector": good, "id": "w-001" }), "exactly one of vector, id, text, vectors and texts is needed"),
        (json!({ "vector": good, "vectors": [good] }), "exactly one of vector, id, text, vectors and texts is needed"),
        (json!({ "vector": [1, 2] }), "vector: 2 numbers"),
        (json!({ "vector": [0, 0, 0] }), "vector: a zero vector"),
        (json!({ "vector": [1, 2, 1e39] }), "vector[2]: number out of range"),
        (json!({ "vector": [1, 2, "3"] }), "vector[2]: "),
        (json!({ "vectors": [good, [1, 2]] }), "vectors[1]: 2 numbers"),
        (json!({ "vectors": [good, [1, 2, null]] }), "vectors[1][2]: "),
        (json!({ "id": "" }), "id: "),
        (json!({ "vector": good, "k": 0 }), "k: must be 1 to 10000 (k_max), not 0"),
        (json!({ "vector": good, "k": 10_001 }), "k: must be 1 to 10000"),
        (json!({ "vector": good, "k": -1 }), "k: "),
        (json!({ "vector": good, "k": 2.5 }), "k: "),
        (json!({ "vector": good, "ef": 0 }), "ef: must be"),
        (json!({ "vector": good, "min_score": 1e39 }), "min_score: number out of range"),
        (json!({ "vector": good, "filter": [] }), "filter: "),
        (json!({ "vector": good, "filter": { "$and": [{ "n": { "$gte": [] } }] } }), "filter.$and[0].n.$gte: "),
        (json!({ "vector": good, "limit": 5 }), "limit: unknown field"),
    ] {
        let said = body.to_string();
        let refused = platform.refused("index/a/search", body, 400).await;
        assert!(refused.starts_with(told), "{said}: {refused}");
    }
    let many: Vec<_> = (0..101).map(|_| good).collect();
    let refused = platform.refused("index/a/search", json!({ "vectors": many }), 413).await;
    assert_eq!(refused, "vectors: 101 exceed 100 (vectors_per_search_max)");
}

/// Longer than what is parsed where it arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_search_is_a_search() {
    let platform = Platform::start().await;
    platform.create("wide", 8_192, "cosine").await;
    let vector = |n: usize| -> Vec<f32> { (0..8_192).map(|i| ((i * (n + 3)) as f32 * 0.1).sin()).collect() };
    let items: Vec<_> = (0..3).map(|n| json!({ "id": format!("{n}"), "vector": vector(n) })).collect();
    platform.done("index/wide/add", json!({ "items": items })).await;
    let vectors: Vec<_> = (0..60).map(|n| vector(n % 3)).collect();
    let body = json!({ "vectors": vectors, "k": 1 });
    assert!(body.to_string().len() > 3 << 20, "beyond the limit that axum has where none is set");
    let found = platform.done("index/wide/search", body).await;
    let firsts: Vec<_> = found["results"].as_array().unwrap().iter().map(|list| ids(list)[0]).collect();
    assert_eq!(&firsts[..4], ["0", "1", "2", "0"]);
    let mut wrong = json!({ "vectors": vectors, "k": 1 });
    wrong["vectors"][59][8_191] = json!("x");
    let refused = platform.refused("index/wide/search", wrong, 400).await;
    assert!(refused.starts_with("vectors[59][8191]: "), "{refused}");
}
