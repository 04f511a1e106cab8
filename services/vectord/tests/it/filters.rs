use serde_json::{Value, json};

use crate::platform::{Platform, ids, workers};

#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_among_those_that_match_are_found() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    let mut items = workers(200);
    items[3]["metadata"]["skills"] = json!(["crane", "forklift"]);
    items[9]["metadata"]["address"] = json!({ "city": "Chicago" });
    platform.done("index/a/add", json!({ "items": items })).await;
    let search = async |filter: Value| {
        let asked = json!({ "vector": items[0]["vector"], "k": 4, "filter": filter });
        platform.done("index/a/search", asked).await["results"].clone()
    };
    for (filter, expected) in [
        (json!({}), vec!["w-000", "w-001", "w-002", "w-003"]),
        (json!({ "role": "driver" }), vec!["w-001", "w-003", "w-005", "w-007"]),
        (json!({ "n": { "$gte": 100, "$lt": 103 } }), vec!["w-100", "w-101", "w-102"]),
        (json!({ "n": { "$in": [199, 50] } }), vec!["w-050", "w-199"]),
        (json!({ "skills": { "$contains": "crane" } }), vec!["w-003"]),
        (json!({ "$or": [{ "address.city": "Chicago" }, { "n": 5 }] }), vec!["w-005", "w-009"]),
        (json!({ "$not": { "n": { "$gt": 1 } } }), vec!["w-000", "w-001"]),
        (json!({ "role": "cook" }), vec![]),
    ] {
        assert_eq!(ids(&search(filter.clone()).await), expected, "{filter}");
    }
}
