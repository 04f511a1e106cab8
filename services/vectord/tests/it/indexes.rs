use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::{Platform, body, workers};

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_told_of_where_it_was_made_and_later() {
    let platform = Platform::start().await;
    let asked =
        json!({ "name": "a.b-C_1", "dimension": 3, "distance": "l2", "m": 8, "ef_construction": 50, "ef_search": 40 });
    let created = platform.request(Method::POST, "index").json(&asked).send().await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(created.headers()["location"], "/v1/vectors/index/a.b-C_1");
    let (_, created) = body(created).await;
    let (_, told) = platform.get("index/a.b-C_1").await;
    assert_eq!(told, created);
    let mut keys: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "count",
            "created",
            "deleted",
            "dimension",
            "distance",
            "ef_construction",
            "ef_search",
            "engine",
            "last_snapshot",
            "m",
            "memory_bytes",
            "name",
            "segments",
            "status",
            "unindexed"
        ]
    );
    assert_eq!((&told["distance"], &told["m"], &told["ef_construction"]), (&json!("l2"), &json!(8), &json!(50)));
    assert_eq!((&told["ef_search"], &told["engine"], &told["status"]), (&json!(40), &json!("lake"), &json!("ready")));
    assert_eq!((&told["count"], &told["last_snapshot"]), (&json!(0), &Value::Null));
    assert!(told["created"].as_str().unwrap().ends_with('Z'), "{told}");

    let defaults = platform.create("plain", 3, "dot").await;
    assert_eq!(
        (&defaults["m"], &defaults["ef_construction"], &defaults["ef_search"]),
        (&json!(16), &json!(200), &json!(128))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_index_can_be_made_of_is_refused() {
    let platform = Platform::start().await;
    let good = json!({ "name": "a", "dimension": 3, "distance": "cosine" });
    for (field, value, told) in [
        ("name", json!(""), "is not a name of an index"),
        ("name", json!("a/b"), "is not a name of an index"),
        ("dimension", json!(0), "dimension: must be 1 to 8192, not 0"),
        ("dimension", json!(8193), "dimension: must be 1 to 8192, not 8193"),
        ("dimension", json!(-1), "dimension: "),
        ("dimension", json!(1.5), "dimension: "),
        ("distance", json!("manhattan"), "distance: unknown variant `manhattan`"),
        ("m", json!(1), "m: must be"),
        ("ef_search", json!(0), "ef_search: must be"),
        ("engine", json!("faiss"), "engine: unknown variant `faiss`"),
        ("metric", json!("cosine"), "metric: unknown field"),
    ] {
        let mut asked = good.clone();
        asked[field] = value;
        let refused = platform.refused("index", asked, 400).await;
        assert!(refused.contains(told), "{told}: {refused}");
    }
    let missing = platform.refused("index", json!({ "name": "a", "dimension": 3 }), 400).await;
    assert_eq!(missing, "distance: must be given where there is no model");
    let missing = platform.refused("index", json!({ "name": "a", "distance": "l2" }), 400).await;
    assert_eq!(missing, "dimension: must be given where there is no model");
    let (_, list) = platform.get("index").await;
    assert_eq!(list, json!({ "indexes": [], "next_cursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_comes_in_pages() {
    let platform = Platform::start().await;
    for name in ["c", "a", "b"] {
        platform.create(name, 2, "dot").await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["indexes"].as_array().unwrap().iter().map(|index| index["name"].as_str().unwrap().to_owned()).collect()
    };
    let (_, first) = platform.get("index?limit=2").await;
    assert_eq!(names(&first), ["a", "b"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = platform.get(&format!("index?limit=2&cursor={cursor}")).await;
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["c".to_owned()], &Value::Null));
    for bad in ["index?limit=x", "index?limit=-1", "index?limit=1001", "index?cursor=%21", "index?page=2"] {
        assert_eq!(platform.get(bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_index_is_gone_and_its_name_free() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    platform.done("index/a/add", json!({ "items": workers(10) })).await;
    assert_eq!(platform.delete("index/a").await, (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(platform.get("index/a").await.0, StatusCode::NOT_FOUND);
    assert_eq!(platform.delete("index/a").await.0, StatusCode::NOT_FOUND);
    platform.create("a", 4, "l2").await;
    assert_eq!(platform.done("index/a/count", json!({})).await, json!({ "count": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_and_compact_answer_with_the_index() {
    let platform = Platform::start().await;
    platform.create("a", 3, "cosine").await;
    platform.done("index/a/add", json!({ "items": workers(10) })).await;
    let nothing = |path: &'static str| platform.request(Method::POST, path).send();
    let (status, told) = body(nothing("index/a/snapshot").await.unwrap()).await;
    assert_eq!((status, &told["count"]), (StatusCode::OK, &json!(10)));
    assert!(told["last_snapshot"].as_str().unwrap().ends_with('Z'), "{told}");
    platform.done("index/a/delete", json!({ "filter": { "role": "welder" } })).await;
    let (status, told) = body(nothing("index/a/compact").await.unwrap()).await;
    assert_eq!((status, &told["count"], &told["deleted"]), (StatusCode::OK, &json!(5), &json!(0)));
    for path in ["index/b/snapshot", "index/b/compact"] {
        assert_eq!(nothing(path).await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_indexes_as_configured() {
    let platform = Platform::with(|config| config.indexes_max = 1).await;
    platform.create("a", 2, "dot").await;
    let second = json!({ "name": "b", "dimension": 2, "distance": "dot" });
    assert!(platform.refused("index", second, 413).await.contains("indexes_max"));
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_are_listed_and_what_is_none_is_refused() {
    let platform = Platform::start().await;
    platform.create("a", 2, "dot").await;
    assert_eq!(platform.get("index/a/import").await.1, json!({ "imports": [], "next_cursor": null }));
    assert_eq!(platform.get("index/a/import/x").await.0, StatusCode::NOT_FOUND);
    assert_eq!(platform.get("index/b/import").await.0, StatusCode::NOT_FOUND);
    let typo = json!({ "dataset": "d", "id_column": "id", "vector_column": "v", "metadata_column": [] });
    assert!(platform.refused("index/a/import", typo, 400).await.starts_with("metadata_column: unknown field"));
}
