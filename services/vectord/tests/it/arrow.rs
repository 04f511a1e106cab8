//! The same through Arrow as through JSON.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::platform::{Platform, body, contents, workers};

const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Items as JSON, in an Arrow stream of two batches.
fn stream(items: &[Value]) -> Vec<u8> {
    let batch = |items: &[Value]| {
        let ids = items.iter().map(|item| item["id"].as_str().unwrap());
        let metadata = items.iter().map(|item| item.get("metadata").map(Value::to_string));
        let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), 3);
        for item in items {
            match item.get("vector") {
                Some(vector) => {
                    vector
                        .as_array()
                        .unwrap()
                        .iter()
                        .for_each(|x| vectors.values().append_value(x.as_f64().unwrap() as f32));
                }
                None => vectors.values().append_slice(&[0.0; 3]),
            }
            vectors.append(item.get("vector").is_some());
        }
        let columns: [(&str, ArrayRef, bool); 3] = [
            ("id", Arc::new(StringArray::from_iter_values(ids)), false),
            ("vector", Arc::new(vectors.finish()), true),
            ("metadata", Arc::new(StringArray::from_iter(metadata)), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    let (first, second) = items.split_at(items.len() / 2);
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, batch(first).schema_ref()).unwrap();
    writer.write(&batch(first)).unwrap();
    writer.write(&batch(second)).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

async fn add(platform: &Platform, index: &str, body: Vec<u8>) -> (StatusCode, Value) {
    let request = platform.request(Method::POST, &format!("index/{index}/add"));
    crate::platform::body(request.header("content-type", ARROW).body(body).send().await.unwrap()).await
}

async fn search(platform: &Platform, query: &Value) -> Response {
    let request = platform.request(Method::POST, "index/json/search").header("accept", ARROW);
    request.json(query).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_the_same_as_through_json() {
    let platform = Platform::start().await;
    for name in ["json", "arrow"] {
        platform.create(name, 3, "cosine").await;
    }
    let mut items = workers(30);
    platform.done("index/json/add", json!({ "items": items })).await;
    assert_eq!(add(&platform, "arrow", stream(&items)).await, (StatusCode::OK, json!({ "added": 30, "updated": 0 })));
    // Updates: metadata alone, the vector alone, and cleared metadata.
    items.truncate(3);
    items[0].as_object_mut().unwrap().remove("vector");
    items[0]["metadata"] = json!({ "new": true });
    items[1].as_object_mut().unwrap().remove("metadata");
    items[1]["vector"] = json!([0.5, 0.25, -1.0]);
    items[2]["metadata"] = Value::Null;
    platform.done("index/json/add", json!({ "items": items })).await;
    assert_eq!(add(&platform, "arrow", stream(&items)).await.1, json!({ "added": 0, "updated": 3 }));
    let (json, arrow) = (contents(&platform, "json").await, contents(&platform, "arrow").await);
    assert_eq!(json, arrow);
    assert_eq!(json.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_the_same_as_through_json() {
    let platform = Platform::start().await;
    platform.create("json", 3, "cosine").await;
    let items = workers(30);
    platform.done("index/json/add", json!({ "items": items })).await;
    let query = json!({ "vectors": [items[3]["vector"], items[9]["vector"]], "k": 4, "with_vector": true });
    let lists = platform.done("index/json/search", query.clone()).await;
    let answer = search(&platform, &query).await;
    assert_eq!((answer.status(), &answer.headers()["content-type"]), (StatusCode::OK, &ARROW.parse().unwrap()));
    let bytes = answer.bytes().await.unwrap();
    let mut rows = Vec::new();
    for batch in StreamReader::try_new(&bytes[..], None).unwrap().map(Result::unwrap) {
        let float = |name: &str, row: usize| batch[name].as_primitive::<Float32Type>().value(row);
        for row in 0..batch.num_rows() {
            let vector = batch["vector"].as_fixed_size_list().value(row);
            let found = json!({
                "id": batch["id"].as_string::<i32>().value(row),
                "distance": float("distance", row).to_string().parse::<f64>().unwrap(),
                "score": float("score", row).to_string().parse::<f64>().unwrap(),
                "metadata": serde_json::from_str::<Value>(batch["metadata"].as_string::<i32>().value(row)).unwrap(),
                "vector": vector.as_primitive::<Float32Type>().values().iter().map(|x| x.to_string().parse::<f64>().unwrap()).collect::<Vec<_>>(),
            });
            rows.push((batch["query"].as_primitive::<UInt32Type>().value(row), found));
        }
    }
    let lists = lists["results"].as_array().unwrap().iter().zip(0_u32..);
    let expected: Vec<_> = lists
        .flat_map(|(list, query)| list.as_array().unwrap().iter().map(move |found| (query, found.clone())))
        .collect();
    assert_eq!(rows, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_as_in_json() {
    let platform = Platform::start().await;
    platform.create("json", 3, "cosine").await;
    platform.create("wide", 4, "cosine").await;
    let mut items = workers(4);
    items[3]["vector"] = json!([0, 0, 0]);
    for (index, body, told) in [
        ("json", stream(&items), "items[3].vector: a zero vector"),
        ("wide", stream(&items), "items[0].vector: 3 numbers"),
        ("json", b"no arrow".to_vec(), "not an Arrow IPC stream"),
        ("json", Vec::new(), "not an Arrow IPC stream"),
    ] {
        let (status, problem) = add(&platform, index, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(problem["detail"].as_str().unwrap().starts_with(told), "{told}: {problem}");
    }
    let refused = search(&platform, &json!({ "vector": [1] })).await;
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(body(refused).await.0, StatusCode::BAD_REQUEST);
}
