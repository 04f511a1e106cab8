//! Texts in place of vectors, by a real embedd.

use kit::{CALLER, Caller, Role};
use proto::v1::search_target::Target;
use proto::v1::{AddRequest, CreateIndexRequest, NewItem, SearchRequest, SearchTarget};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::Code;

use crate::embedder::{DIMENSION, Embedder};
use crate::platform::{Platform, body, contents, ids};

async fn with_model() -> (Platform, Embedder) {
    let embedder = Embedder::start().await;
    let platform = Platform::with(|config| config.embedd_url = embedder.url()).await;
    platform.done("index", json!({ "name": "crew", "model": "hash" })).await;
    (platform, embedder)
}

fn crew() -> Value {
    json!({ "items": [
        { "id": "a", "text": "welder in Chicago", "metadata": { "state": "IL" } },
        { "id": "b", "text": "packer in Houston", "metadata": { "state": "TX" } },
        { "id": "c", "text": "driver in Peoria", "metadata": { "state": "IL" } },
    ] })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_a_model_knows_its_dimension_and_fingerprint() {
    let (platform, _embedder) = with_model().await;
    let (_, told) = platform.get("index/crew").await;
    assert_eq!((&told["model"], &told["dimension"], &told["distance"]), (&json!("hash"), &json!(8), &json!("cosine")));
    let fingerprint = told["fingerprint"].as_str().unwrap();
    assert!(fingerprint.len() == 64 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
    let given = json!({ "name": "given", "model": "hash", "dimension": DIMENSION, "distance": "l2" });
    assert_eq!(platform.done("index", given).await["distance"], "l2");
    let odd = json!({ "name": "odd", "model": "hash", "dimension": 9 });
    let refused = platform.refused("index", odd, 400).await;
    assert_eq!(refused, "dimension: 9, where vectors of hash have 8");
    let refused = platform.refused("index", json!({ "name": "odd", "model": "bert" }), 404).await;
    assert_eq!(refused, "the model bert: there is no model \"bert\"; there are: hash");
    let asked = CreateIndexRequest { name: "grpc".into(), model: "hash".into(), ..CreateIndexRequest::default() };
    let told = platform.rpc().create_index(asked).await.unwrap().into_inner();
    assert_eq!((told.dimension, told.model.as_str(), told.fingerprint.len()), (8, "hash", 32));
    assert_eq!(platform.get("index/odd").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_added_and_searched_for() {
    let (platform, embedder) = with_model().await;
    assert_eq!(platform.done("index/crew/add", crew()).await, json!({ "added": 3, "updated": 0 }));
    let asked = json!({ "text": "driver in Peoria", "k": 1 });
    let found = platform.done("index/crew/search", asked).await;
    assert_eq!((ids(&found["results"]), embedder.computed().await), (vec!["c"], 3));
    assert!(found["results"][0]["distance"].as_f64().unwrap().abs() < 1e-6, "{found}");
    let asked = json!({ "texts": ["packer in Houston", "welder in Chicago"], "k": 1, "filter": { "state": "IL" } });
    let found = platform.done("index/crew/search", asked).await["results"].clone();
    assert_eq!((found.as_array().unwrap().len(), ids(&found[1])), (2, vec!["a"]));
    assert_ne!(ids(&found[0]), ["b"], "filters hold for texts too");

    // A vector beside a text, metadata alone, and a text alone, which leaves the metadata.
    let vector: Vec<f32> = (0..DIMENSION).map(|at| at as f32).collect();
    let mixed = json!({ "items": [
        { "id": "d", "vector": vector }, { "id": "a", "metadata": { "state": "OH" } }, { "id": "b", "text": "cook" },
    ] });
    assert_eq!(platform.done("index/crew/add", mixed).await, json!({ "added": 1, "updated": 2 }));
    let found = platform.done("index/crew/search", json!({ "text": "cook", "k": 1 })).await;
    assert_eq!((&found["results"][0]["id"], &found["results"][0]["metadata"]["state"]), (&json!("b"), &json!("TX")));
    let found = platform.done("index/crew/search", json!({ "vector": vector, "k": 1 })).await;
    assert_eq!(ids(&found["results"]), ["d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_grpc_texts_are_the_same() {
    let (platform, _embedder) = with_model().await;
    platform.done("index", json!({ "name": "grpc", "model": "hash" })).await;
    platform.done("index/crew/add", crew()).await;
    let item = |item: &Value| NewItem {
        id: item["id"].as_str().unwrap().to_owned(),
        text: item["text"].as_str().map(str::to_owned),
        metadata_json: Some(item["metadata"].to_string()),
        ..NewItem::default()
    };
    let items = crew()["items"].as_array().unwrap().iter().map(item).collect();
    platform.rpc().add(AddRequest { index: "grpc".into(), items }).await.unwrap();
    assert_eq!(contents(&platform, "grpc").await, contents(&platform, "crew").await);
    let around = |target| SearchTarget { target: Some(target) };
    let targets = vec![
        around(Target::Id("b".into())),
        around(Target::Text("driver in Peoria".into())),
        around(Target::Text("welder in Chicago".into())),
    ];
    let asked = SearchRequest { index: "grpc".into(), targets, k: Some(1), ..SearchRequest::default() };
    let lists = platform.rpc().search(asked).await.unwrap().into_inner().lists;
    let first: Vec<_> = lists.iter().map(|list| list.results[0].id.as_str()).collect();
    assert_eq!(first, ["b", "c", "a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_text_is_named_and_nothing_is_added() {
    let embedder = Embedder::start().await;
    let platform = Platform::with(|config| {
        config.embedd_url = embedder.url();
        config.text_bytes_max = 20;
        config.vectors_per_search_max = 2;
    })
    .await;
    platform.done("index", json!({ "name": "crew", "model": "hash" })).await;
    platform.create("plain", 3, "cosine").await;
    let add = |index: &str, item: Value| {
        let body = json!({ "items": [{ "id": "a", "text": "fine" }, item] });
        (format!("index/{index}/add"), body)
    };
    for (index, item, told) in [
        ("crew", json!({ "id": "b", "text": "x".repeat(21) }), "items[1].text: 21 bytes exceed 20 (text_bytes_max)"),
        ("crew", json!({ "id": "b", "text": "x", "vector": vec![1; 8] }), "items[1]: both a vector and a text"),
        ("crew", json!({ "id": "b" }), "items[1]: neither a vector nor a text nor metadata"),
        ("crew", json!({ "id": "a", "text": "x" }), "items[1].id: \"a\" is in this batch already"),
        (
            "plain",
            json!({ "id": "b" }),
            "items[0].text: the index plain has no model, so it takes vectors and no texts",
        ),
    ] {
        let (path, body) = add(index, item);
        assert_eq!(platform.refused(&path, body, 400).await, told);
    }
    for (index, search, status, told) in [
        ("plain", json!({ "text": "x" }), 400, "text: the index plain has no model, so it takes vectors and no texts"),
        ("crew", json!({ "texts": ["x", "y".repeat(21)] }), 400, "texts[1]: 21 bytes exceed 20 (text_bytes_max)"),
        ("crew", json!({ "texts": ["x", "y", "z"] }), 413, "vectors: 3 exceed 2 (vectors_per_search_max)"),
        (
            "crew",
            json!({ "text": "x", "id": "a" }),
            400,
            "exactly one of vector, id, text, vectors and texts is needed",
        ),
    ] {
        assert_eq!(platform.refused(&format!("index/{index}/search"), search, status).await, told);
    }
    assert_eq!(embedder.computed().await, 0, "what is refused is not embedded");
    assert_eq!(platform.done("index/crew/count", json!({})).await, json!({ "count": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_embedd_texts_are_refused_and_all_else_goes_on() {
    let (platform, mut embedder) = with_model().await;
    platform.done("index/crew/add", crew()).await;
    embedder.stop().await;
    let told = "the model hash: embedd: The service is not available";
    let mixed = json!({ "items": [{ "id": "d", "vector": vec![1; DIMENSION] }, { "id": "e", "text": "x" }] });
    assert_eq!(platform.refused("index/crew/add", mixed, 503).await, told);
    assert_eq!(platform.refused("index/crew/search", json!({ "text": "x" }), 503).await, told);
    assert_eq!(platform.refused("index", json!({ "name": "next", "model": "hash" }), 503).await, told);
    assert_eq!(platform.get("index/next").await.0, StatusCode::NOT_FOUND);
    assert_eq!(platform.done("index/crew/count", json!({})).await, json!({ "count": 3 }), "all or nothing");
    let found = platform.done("index/crew/search", json!({ "id": "b", "k": 1 })).await;
    assert_eq!(ids(&found["results"]), ["b"]);
    embedder.back(|_| {}).await;
    let found = platform.done("index/crew/search", json!({ "text": "welder in Chicago", "k": 1 })).await;
    assert_eq!(ids(&found["results"]), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_under_the_same_name_is_a_conflict() {
    let (platform, mut embedder) = with_model().await;
    platform.done("index/crew/add", crew()).await;
    let held = platform.get("index/crew").await.1["fingerprint"].clone();
    embedder.stop().await;
    embedder.back(|model| model.revision = "2".into()).await;
    let offered = platform.done("index", json!({ "name": "next", "model": "hash" })).await["fingerprint"].clone();
    assert_ne!(held, offered);
    let refused = platform.refused("index/crew/search", json!({ "text": "x" }), 409).await;
    for word in [held.as_str().unwrap(), offered.as_str().unwrap(), "Make a new index"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    let more = json!({ "items": [{ "id": "d", "text": "x" }] });
    let (status, problem) = platform.post("index/crew/add", more.clone()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("conflict")));
    assert_eq!(platform.done("index/crew/count", json!({})).await, json!({ "count": 3 }));
    platform.done("index/next/add", more).await;
    // Of another dimension it is another model too.
    embedder.stop().await;
    embedder.back(|model| model.dimension = 4).await;
    platform.refused("index/next/search", json!({ "text": "x" }), 409).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_change_nothing_about_who_may_do_what() {
    let (platform, _embedder) = with_model().await;
    platform.done("index/crew/add", crew()).await;
    let caller = |role, grant: &str| Caller { tenant: "t".into(), role, grants: [grant.to_owned()].into() };
    let search = async |caller: Caller| {
        let request = platform.request(Method::POST, "index/crew/search").header(CALLER, caller.to_header());
        body(request.json(&json!({ "text": "x", "k": 1 })).send().await.unwrap()).await
    };
    assert_eq!(search(caller(Role::Reader, "crew")).await.0, StatusCode::OK);
    let (status, problem) = search(caller(Role::Writer, "other")).await;
    assert_eq!((status, &problem["detail"]), (StatusCode::NOT_FOUND, &json!("there is no index crew")));
    let targets = vec![SearchTarget { target: Some(Target::Text("x".into())) }];
    let asked = SearchRequest { index: "crew".into(), targets, ..SearchRequest::default() };
    let refused = kit::grpc::request(asked, &caller(Role::Reader, "other"), None);
    assert_eq!(platform.rpc().search(refused).await.unwrap_err().code(), Code::NotFound);
}
