use reqwest::StatusCode;
use serde_json::json;

use crate::platform::{Platform, people};

#[tokio::test]
async fn names_fields_and_limits_that_are_not_valid_are_refused() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    for name in ["", "A", "select", "pg_x", "a-b", "information_schema"] {
        let (status, problem) = catalogd.post(json!({ "name": name, "objects": [{ "key": "a" }] })).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_argument")), "{name}");
    }
    for body in [
        json!({ "name": "a", "objects": [{ "key": "a" }], "overwrite": true }),
        json!({ "name": "a", "objects": [{ "key": "a", "size": 1 }] }),
        json!({ "name": "a", "objects": [{ "key": "a" }], "op": "delete" }),
        json!({ "name": "a", "objects": [{ "key": "a" }], "request_id": "with spaces" }),
        json!({ "name": "a" }),
    ] {
        let (status, problem) = catalogd.post(body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_argument")), "{problem}");
    }
    let body = json!({ "name": "a", "objects": [{ "key": "a" }] });
    let stray = catalogd.http.post(catalogd.url("v1/catalog/register?op=replace")).json(&body).send().await.unwrap();
    assert_eq!(stray.status(), StatusCode::BAD_REQUEST);
    let problem: serde_json::Value = stray.json().await.unwrap();
    assert_eq!(problem["detail"], "query parameter op: this route takes none");
    for path in [
        "v1/catalog/datasets?limit=100000",
        "v1/catalog/datasets?limit=x",
        "v1/catalog/datasets?cursor=No%20Name",
        "v1/catalog/datasets?page=2",
        "v1/catalog/datasets/Select",
        "v1/catalog/datasets/a?version=-1",
    ] {
        assert_eq!(catalogd.get(path).await.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(catalogd.get("v1/catalog/datasets/nobody").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(catalogd.get("v1/catalog/datasets/nobody/versions").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    for name in ["c", "a", "b", "a", "a", "a"] {
        catalogd.register(name, &["a.parquet"]).await;
    }
    let page = catalogd.json("v1/catalog/datasets?limit=2").await.1;
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["datasets"].as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names(&page), &page["next_cursor"]), (vec!["a".into(), "b".into()], &json!("b")));
    assert_eq!((&page["datasets"][0]["version"], &page["datasets"][0]["rows"]), (&json!(4), &json!(12)));
    let page = catalogd.json("v1/catalog/datasets?limit=2&cursor=b").await.1;
    assert_eq!((names(&page), &page["next_cursor"]), (vec!["c".into()], &json!(null)));

    let page = catalogd.json("v1/catalog/datasets/a/versions?limit=3").await.1;
    let versions = |page: &serde_json::Value| -> Vec<u64> {
        page["versions"].as_array().unwrap().iter().map(|v| v["version"].as_u64().unwrap()).collect()
    };
    assert_eq!((versions(&page), &page["next_cursor"]), (vec![4, 3, 2], &json!("2")));
    assert_eq!(page["versions"][0]["op"], "append");
    let page = catalogd.json("v1/catalog/datasets/a/versions?limit=3&cursor=2").await.1;
    assert_eq!((versions(&page), &page["next_cursor"]), (vec![1], &json!(null)));
    assert_eq!(page["versions"][0]["op"], "create");
}

#[tokio::test]
async fn the_api_is_described() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    let spec = catalogd.json("openapi.json").await.1;
    for path in ["register", "datasets", "datasets/{name}", "datasets/{name}/versions"] {
        assert!(spec["paths"][format!("/v1/catalog/{path}")].is_object(), "{path}");
    }
}
