//! Warm-ups.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_ipc::writer::StreamWriter;
use embedd::{ProviderKind, WarmConfig};
use kit::testing::TestServer;
use proto::v1::query_server::{Query, QueryServer};
use proto::v1::{ExecuteRequest, ExecuteResponse, GetWarmRequest, WarmRequest};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tonic::{Request, Response, Status};

use crate::platform::{Platform, body};
use crate::upstream::{Fault, Upstream};

async fn ended(platform: &Platform, id: &Value) -> Value {
    loop {
        let job = platform.get(&format!("v1/embed/warm/{}", id.as_str().unwrap())).await;
        if job["state"] == "done" || job["state"] == "failed" {
            return job;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_there_before_they_are_asked_for() {
    let platform = Platform::with(|config| config.warm_batch_texts = 2).await;
    platform.embed(&["b"]).await;
    let begun = platform.done("v1/embed/warm", json!({ "texts": ["a", "b", "c", "d", "e"] })).await;
    let job = ended(&platform, &begun["id"]).await;
    assert_eq!((&job["state"], &job["error"], &job["model"]), (&json!("done"), &json!(null), &json!("hash")));
    assert_eq!((&job["texts_total"], &job["texts_done"], &job["computed"]), (&json!(5), &json!(5), &json!(4)));
    assert_eq!(platform.embed(&["a", "b", "c", "d", "e"]).await["cached"], 5);
    assert_eq!(platform.get("v1/embed/warm").await["jobs"][0], job);
    let lines = platform.request(Method::POST, "v1/embed/warm?model=hash").header(CONTENT_TYPE, "application/x-ndjson");
    let lines = lines.body("\"f\"\n{\"text\":\"g\"}\n\nh\n").send().await.unwrap();
    let job = ended(&platform, &body(lines).await.1["id"]).await;
    assert_eq!((&job["texts_done"], &job["computed"]), (&json!(3), &json!(3)));
    assert_eq!(platform.embed(&["f", "g", "h"]).await["cached"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_where_the_texts_are_once() {
    let platform = Platform::start().await;
    for (body, status) in [
        (json!({}), 400),
        (json!({ "texts": ["a"], "most_used": true }), 400),
        (json!({ "dataset": "workers" }), 400),
        (json!({ "texts": ["a"], "file": "/etc/passwd" }), 400),
        (json!({ "texts": ["a"], "model": "none" }), 404),
    ] {
        platform.refused("v1/embed/warm", body, status).await;
    }
    let none = platform.request(Method::GET, "v1/embed/warm/none").send().await.unwrap();
    assert_eq!(none.status(), 404);
    let none = platform.rpc().warm(WarmRequest::default()).await.unwrap_err();
    assert_eq!(none.code(), tonic::Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_up_waits_for_room_and_ends_with_what_fails() {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Openai, |_| {}).await;
    upstream.fail([Fault::Status(429, Some("1"), "")]);
    let begun = platform.done("v1/embed/warm", json!({ "texts": ["a"] })).await;
    assert_eq!(ended(&platform, &begun["id"]).await["state"], "done");
    upstream.fail([Fault::Body("garbage")]);
    let begun = platform.done("v1/embed/warm", json!({ "texts": ["b"] })).await;
    let job = ended(&platform, &begun["id"]).await;
    assert_eq!((&job["state"], &job["texts_done"]), (&json!("failed"), &json!(0)));
    assert!(job["error"].as_str().unwrap().contains("not what the protocol says"), "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.txt");
    std::fs::write(&file, "forklift driver IL\nwelder\nforklift driver IL").unwrap();
    let platform = Platform::with(|config| {
        config.warm = vec![WarmConfig { file: Some(file.clone()), ..WarmConfig::default() }];
    })
    .await;
    let id = loop {
        let jobs = platform.get("v1/embed/warm").await;
        if let Some(job) = jobs["jobs"].get(0) {
            break job["id"].clone();
        }
    };
    let job = ended(&platform, &id).await;
    assert_eq!((&job["state"], &job["texts_done"], &job["computed"]), (&json!("done"), &json!(3), &json!(2)));
    assert_eq!(platform.embed(&["welder", "forklift driver IL"]).await["cached"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_up_with_a_period_begins_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.txt");
    std::fs::write(&file, "welder").unwrap();
    let platform = Platform::with(|config| {
        let every = Some(Duration::from_millis(20));
        config.warm = vec![WarmConfig { file: Some(file.clone()), every, ..WarmConfig::default() }];
    })
    .await;
    let done = async || {
        let jobs = platform.get("v1/embed/warm").await;
        jobs["jobs"].as_array().unwrap().iter().filter(|job| job["state"] == "done").count()
    };
    while done().await < 2 {}
    // What is in the file by then is there as well.
    std::fs::write(&file, "welder\nforklift driver IL").unwrap();
    while platform.stats().await["size"] != 2 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept/most_used");
    let upstream = Upstream::start().await;
    let start = || Platform::on(&upstream, ProviderKind::Ollama, |config| config.most_used_file = Some(file.clone()));
    let first = start().await;
    let before = first.embed(&["a", "b"]).await;
    first.embedd.stop().await;
    let second = start().await;
    let id = second.get("v1/embed/warm").await["jobs"][0]["id"].clone();
    assert_eq!(ended(&second, &id).await["texts_done"], 2);
    let after = second.embed(&["a", "b"]).await;
    assert_eq!(
        (&after["vectors"], &after["tokens"], &after["cached"]),
        (&before["vectors"], &before["tokens"], &json!(2))
    );
    assert_eq!(upstream.calls().len(), 1);
    // Vectors of a model that is no more are not taken up.
    second.embedd.stop().await;
    let third = Platform::with(|config| config.most_used_file = Some(file.clone())).await;
    let id = third.get("v1/embed/warm").await["jobs"][0]["id"].clone();
    assert_eq!(ended(&third, &id).await["texts_done"], 0);
    assert_eq!(third.stats().await["size"], 0);
}

/// What queryd says of the dataset `workers`, in its own protocol.
struct Workers;

type Pieces = futures::stream::Iter<std::vec::IntoIter<Result<ExecuteResponse, Status>>>;

#[tonic::async_trait]
impl Query for Workers {
    type ExecuteStream = Pieces;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<Pieces>, Status> {
        let sql = &request.get_ref().sql;
        if !sql.contains("\"workers\"") {
            return Err(kit::Problem::new(kit::Code::NotFound, "there is no dataset").into());
        }
        assert!(sql.contains("\"the \"\"summary\"\"\""), "{sql}");
        let counts: ArrayRef = Arc::new(UInt64Array::from(vec![700]));
        let texts: Vec<String> = (0..700).map(|n| format!("worker {n}")).collect();
        let batches: Vec<RecordBatch> = if sql.contains("count(") {
            vec![RecordBatch::try_from_iter([("count", counts)]).unwrap()]
        } else {
            let page = |texts: &[String]| {
                let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
                RecordBatch::try_from_iter([("text", column)]).unwrap()
            };
            texts.chunks(300).map(page).collect()
        };
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new(&mut bytes, batches[0].schema_ref()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        drop(writer);
        // In pieces that know nothing of batches.
        let piece = |piece: &[u8]| Ok(ExecuteResponse { arrow_ipc: piece.to_vec().into(), truncated: false });
        let pieces: Vec<_> = bytes.chunks(1_000).map(piece).collect();
        Ok(Response::new(futures::stream::iter(pieces)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_is_read_page_by_page() {
    let queryd = TestServer::start(|listener, shutdown| async move {
        let router = tonic::service::Routes::new(QueryServer::new(Workers)).prepare().into_axum_router();
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
        served.await.map_err(kit::server::ServeError::Io)
    })
    .await;
    let platform = Platform::with(|config| config.queryd_url = queryd.url()).await;
    let column = |dataset: &str| json!({ "dataset": dataset, "column": "the \"summary\"" });
    let begun = platform.done("v1/embed/warm", column("workers")).await;
    let job = ended(&platform, &begun["id"]).await;
    assert_eq!((&job["state"], &job["error"]), (&json!("done"), &json!(null)));
    assert_eq!((&job["texts_total"], &job["texts_done"], &job["computed"]), (&json!(700), &json!(700), &json!(700)));
    assert_eq!(platform.embed(&["worker 0", "worker 699"]).await["cached"], 2);
    let begun = platform.done("v1/embed/warm", column("nobody")).await;
    let id = begun["id"].as_str().unwrap().to_owned();
    assert_eq!(ended(&platform, &begun["id"]).await["error"], "the query: there is no dataset");
    let over_grpc = platform.rpc().get_warm(GetWarmRequest { id }).await.unwrap().into_inner();
    assert_eq!(over_grpc.state, "failed");
}
