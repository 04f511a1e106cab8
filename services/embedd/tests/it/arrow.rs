//! Bulk: Arrow in and out.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use crate::platform::{Platform, body, vector};

const ARROW: &str = "application/vnd.apache.arrow.stream";

fn stream(texts: &[&str]) -> Vec<u8> {
    let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let batch = RecordBatch::try_from_iter([("text", column)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, batch.schema_ref()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_come_and_vectors_go_as_arrow() {
    let platform = Platform::start().await;
    let texts: Vec<String> = (0..5_000).map(|n| format!("text {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let request = platform.request(Method::POST, "v1/embed?normalize=false");
    let request = request.header(CONTENT_TYPE, ARROW).header(ACCEPT, ARROW).body(stream(&texts));
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], ARROW);
    let bytes = response.bytes().await.unwrap();
    let reader = StreamReader::try_new(&bytes[..], None).unwrap();
    let metadata = reader.schema().metadata().clone();
    assert_eq!((metadata["model"].as_str(), metadata["dimension"].as_str()), ("hash", "8"));
    assert_eq!((metadata["cached"].as_str(), metadata["fingerprint"].len()), ("0", 64));
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4_096, 904]);
    let last = batches[1]["vector"].as_fixed_size_list().value(903);
    let own = platform.done("v1/embed", serde_json::json!({ "texts": ["text 4999"], "normalize": false })).await;
    assert_eq!(last.as_primitive::<Float32Type>().values(), &vector(&own["vectors"][0])[..]);
    assert_eq!(batches[1]["tokens"].as_primitive::<UInt32Type>().value(0), 2);
    assert_eq!(own["cached"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn formats_go_in_any_combination_and_others_not() {
    let platform = Platform::start().await;
    let request = platform.request(Method::POST, "v1/embed").header(CONTENT_TYPE, ARROW).body(stream(&["a"]));
    let (status, answer) = body(request.send().await.unwrap()).await;
    assert_eq!((status.as_u16(), answer["vectors"].as_array().unwrap().len()), (200, 1));
    let csv = platform.request(Method::POST, "v1/embed").header(ACCEPT, "text/csv").body("{}");
    assert_eq!(csv.send().await.unwrap().status(), 406);
    let doubled = platform.request(Method::POST, "v1/embed?model=hash").body(r#"{"texts":["a"]}"#);
    assert_eq!(doubled.send().await.unwrap().status(), 400, "the model of a JSON body is in the body");
    let unknown = platform.request(Method::POST, "v1/embed?modell=hash").header(CONTENT_TYPE, ARROW);
    assert_eq!(unknown.body(stream(&["a"])).send().await.unwrap().status(), 400);
}
