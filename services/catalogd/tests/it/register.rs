use reqwest::StatusCode;
use serde_json::json;

use crate::platform::{Platform, people, wages};

const PEOPLE: &str = "9cd4fa3229ce4a4c1d1151bdf231b41da6c805c2aefc9164afde035dabf13fcd";

#[tokio::test]
async fn the_same_name_and_schema_is_the_same_dataset_in_a_new_version() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    platform.upload("deep/b.parquet", people(4)).await;

    let (status, first) = catalogd.post(json!({ "name": "workers", "objects": [{ "key": "a.parquet" }] })).await;
    assert_eq!(status, StatusCode::CREATED);
    let expected = json!({
        "dataset_id": "4ee908eb-05e4-5c26-a4ad-4ca54bb01062", "name": "workers", "version": 1,
        "fingerprint": PEOPLE, "existing": false, "rows": 3, "objects": 1,
    });
    assert_eq!(first, expected);

    let body = json!({ "name": "workers", "fingerprint": PEOPLE, "objects": [{ "key": "deep/b.parquet" }] });
    let (status, second) = catalogd.post(body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(second["dataset_id"], first["dataset_id"]);
    assert_eq!((&second["version"], &second["existing"], &second["rows"]), (&json!(2), &json!(true), &json!(7)));

    let dataset = catalogd.dataset("workers").await;
    assert_eq!(
        dataset["schema"],
        json!([
            { "name": "id", "type": "BIGINT", "nullable": false, "field_id": 1 },
            { "name": "name", "type": "VARCHAR", "nullable": false, "field_id": 2 },
        ])
    );
    let statistics = &dataset["objects"][1]["columns"];
    assert_eq!(statistics[0], json!({ "field_id": 1, "min": "0", "max": "3", "nulls": 0 }));
    assert_eq!(statistics[1], json!({ "field_id": 2, "min": "n0", "max": "n3", "nulls": 0 }));
    let old = catalogd.json("v1/catalog/datasets/workers?version=1").await.1;
    assert_eq!((&old["rows"], &old["version"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn another_schema_is_a_conflict_that_names_both_fingerprints() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    platform.upload("w.parquet", wages(3)).await;
    let first = catalogd.register("workers", &["a.parquet"]).await;
    for op in ["append", "replace"] {
        let body = json!({ "name": "workers", "op": op, "objects": [{ "key": "w.parquet" }] });
        let (status, problem) = catalogd.post(body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("conflict")));
        assert_eq!(problem["stored_fingerprint"], first["fingerprint"]);
        assert_ne!(problem["given_fingerprint"], first["fingerprint"]);
        let detail = problem["detail"].as_str().unwrap();
        for part in [PEOPLE, problem["given_fingerprint"].as_str().unwrap(), r#"column "id" is VARCHAR, not BIGINT"#] {
            assert!(detail.contains(part), "{detail}");
        }
    }
    let wrong = json!({ "name": "workers", "fingerprint": "ab", "objects": [{ "key": "a.parquet" }] });
    let (status, problem) = catalogd.post(wrong).await;
    assert_eq!((status, &problem["found_fingerprint"]), (StatusCode::CONFLICT, &json!(PEOPLE)));
    let both = json!({ "name": "mixed", "objects": [{ "key": "a.parquet" }, { "key": "w.parquet" }] });
    let (status, problem) = catalogd.post(both).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().unwrap().contains("w.parquet"), "{problem}");
    assert_eq!(catalogd.dataset("workers").await["version"], 1);
    assert_eq!(platform.keys("datasets/").await.len(), 1, "what was refused leaves no copy");
}

#[tokio::test]
async fn ops_say_what_must_be_there() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    let body = |op: &str| json!({ "name": "workers", "op": op, "objects": [{ "key": "a.parquet" }] });
    let (status, problem) = catalogd.post(body("append")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    assert_eq!(catalogd.post(body("replace")).await.0, StatusCode::CREATED, "a replace of nothing creates");
    let (status, problem) = catalogd.post(body("create")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already_exists")));
    assert_eq!(catalogd.post(body("append")).await.1["rows"], 6);
    assert_eq!(catalogd.post(body("replace")).await.1["rows"], 3);
    assert_eq!(catalogd.dataset("workers").await["removed_keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_registered_object_cannot_change_underneath() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    catalogd.register("workers", &["a.parquet"]).await;
    platform.upload("a.parquet", wages(9)).await;
    let dataset = catalogd.dataset("workers").await;
    let key = dataset["objects"][0]["key"].as_str().unwrap();
    assert!(key.starts_with("datasets/4ee908eb-05e4-5c26-a4ad-4ca54bb01062/"), "{key}");
    let head = proto::v1::HeadRequest { key: key.to_owned() };
    let copy = platform.objects().head(head).await.unwrap().into_inner();
    assert_eq!(copy.bytes, people(3).len() as u64);
    assert_eq!(dataset["objects"][0]["etag"], copy.etag);
}

#[tokio::test]
async fn the_same_request_id_adds_nothing_a_restart_later_too() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    let body = json!({ "name": "workers", "objects": [{ "key": "a.parquet" }], "request_id": "r-1" });
    let (_, first) = catalogd.post(body.clone()).await;
    catalogd.register("workers", &["a.parquet"]).await;
    let (status, again) = catalogd.post(body.clone()).await;
    assert_eq!((status, &again), (StatusCode::CREATED, &first), "word for word");
    catalogd.server.stop().await;

    let catalogd = platform.catalogd().await;
    assert_eq!(catalogd.post(body.clone()).await.1, first);
    let many = futures::future::join_all((0..8).map(|_| {
        let body = json!({ "name": "workers", "objects": [{ "key": "a.parquet" }], "request_id": "r-2" });
        catalogd.post(body)
    }));
    let versions: Vec<_> = many.await.into_iter().map(|(_, answer)| answer["version"].clone()).collect();
    assert_eq!(versions, vec![json!(3); 8], "at the same time too");
    assert_eq!(catalogd.dataset("workers").await["rows"], 9);
    assert_eq!(platform.keys("datasets/").await.len(), 3, "copies of repeated requests are gone");
}

#[tokio::test]
async fn numbers_go_on_after_a_delete() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    platform.upload("w.parquet", wages(3)).await;
    let first = catalogd.register("workers", &["a.parquet"]).await;
    assert_eq!(catalogd.delete("v1/catalog/datasets/workers").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(catalogd.delete("v1/catalog/datasets/workers").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(catalogd.get("v1/catalog/datasets/workers").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(catalogd.json("v1/catalog/datasets").await.1["datasets"], json!([]));

    let again = catalogd.register("workers", &["w.parquet"]).await;
    assert_eq!((&again["version"], &again["existing"]), (&json!(3), &json!(false)));
    assert_eq!(again["dataset_id"], first["dataset_id"]);
    let dataset = catalogd.dataset("workers").await;
    assert_eq!((&dataset["schema"][0]["field_id"], &dataset["schema_id"]), (&json!(3), &json!(2)));
    let (status, _) = catalogd.json("v1/catalog/datasets/workers?version=1").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "what was deleted stays deleted");
}

#[tokio::test]
async fn what_is_not_there_or_not_parquet_leaves_nothing() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    platform.upload("text.csv", b"id,name\n1,a\n2,b\n".to_vec()).await;
    for (keys, status, word) in [
        (vec!["a.parquet", "missing.parquet"], StatusCode::NOT_FOUND, "missing.parquet"),
        (vec!["a.parquet", "text.csv"], StatusCode::BAD_REQUEST, "text.csv"),
        (vec!["a.parquet", "a.parquet"], StatusCode::BAD_REQUEST, "twice"),
        (vec!["../a.parquet"], StatusCode::BAD_REQUEST, ""),
        (vec![], StatusCode::BAD_REQUEST, "at least one"),
    ] {
        let objects: Vec<_> = keys.iter().map(|key| json!({ "key": key })).collect();
        let (found, problem) = catalogd.post(json!({ "name": "workers", "objects": objects })).await;
        assert_eq!(found, status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    assert_eq!(platform.keys("datasets/").await, Vec::<String>::new());
    assert_eq!(platform.keys("_catalog/").await, Vec::<String>::new());
}

#[tokio::test]
async fn limits_are_told_by_their_names() {
    let platform = Platform::start().await;
    let small = |config: &mut catalogd::Config| {
        (config.objects_per_request_max, config.objects_per_dataset_max, config.footer_bytes_max) = (2, 3, 100_000);
    };
    let catalogd = platform.catalogd_with(small).await;
    for key in ["a", "b", "c"] {
        platform.upload(key, people(3)).await;
    }
    let body = |keys: &[&str]| {
        let objects: Vec<_> = keys.iter().map(|key| json!({ "key": key })).collect();
        json!({ "name": "workers", "objects": objects })
    };
    let (status, problem) = catalogd.post(body(&["a", "b", "c"])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(problem["detail"].as_str().unwrap().contains("objects_per_request_max"), "{problem}");
    catalogd.register("workers", &["a", "b"]).await;
    let (status, problem) = catalogd.post(body(&["a", "b"])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(problem["detail"].as_str().unwrap().contains("objects_per_dataset_max"), "{problem}");
    assert_eq!(platform.keys("datasets/").await.len(), 2, "its copies are gone");
    catalogd.server.stop().await;
    let catalogd = platform.catalogd_with(|config| config.footer_bytes_max = 10).await;
    let (status, problem) = catalogd.post(body(&["a"])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(problem["detail"].as_str().unwrap().contains("footer_bytes_max"), "{problem}");
}
