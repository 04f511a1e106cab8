//! Every limit has its documented answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use reqwest::{Body, Method};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::context::{Context, MAX_OBJECT_BYTES};
use crate::http::{Answer, Http};
use crate::raw::Connection;

/// `max_concurrent_puts`, as it is by default.
const PUTS_MAX: usize = 4;
/// Minutes of work, were it let run.
const ENDLESS: &str = "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b";
const TIMEOUT_MS: u64 = 300;
/// From the timeout to the answer; machines under test are slow.
const STOP_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let folder = context.name("limits");
    let http = &context.http;
    too_long(context, &folder).await.context("413")?;
    too_many_puts(http, &folder).await.context("503")?;
    too_slow(http).await.context("504")?;
    not_so(http).await.context("400, 405, 415")
}

async fn too_long(context: &Context, folder: &str) -> Result<()> {
    let http = &context.http;
    // Refused by its Content-Length alone: not a byte of the body is sent.
    let mut connection = Connection::open(http.base()).await?;
    let refused =
        connection.send(&format!("PUT /v1/storage/{folder}/huge"), &["content-length: 1099511627776"], b"").await?;
    ensure!(refused.status == 413, "a PUT of 1 TiB: {} {}", refused.status, refused.head);
    if context.is_own() {
        let chunk = Bytes::from(vec![b'x'; 1 << 20]);
        let chunks = (0..=MAX_OBJECT_BYTES >> 20).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
        let body = Body::wrap_stream(stream::iter(chunks));
        // A refusal may overtake the body: the connection ends, and that is an answer, too.
        if let Ok(answer) = http.put(&format!("/v1/storage/{folder}/counted"), body).await {
            answer.problem(413, "payload_too_large")?;
        }
        http.get(&format!("/v1/storage/{folder}/counted")).await?.problem(404, "not_found")?;
        let list = http.get(&format!("/v1/storage?prefix={folder}/")).await?.is(200)?.json()?;
        ensure!(list["objects"] == json!([]), "something is left of it: {list}");
    }
    let long = json!({ "sql": format!("SELECT '{}'", "x".repeat(11 << 20)) });
    if let Ok(answer) = http.post_json("/v1/sql", &long).await {
        answer.problem(413, "payload_too_large")?;
    }
    Ok(())
}

/// An upload that stands still until `feed` is dropped.
struct SlowUpload {
    feed: mpsc::Sender<std::io::Result<Bytes>>,
    answer: JoinHandle<Result<Answer>>,
}

impl SlowUpload {
    fn begin(http: &Http, path: String) -> Self {
        let (feed, body) = mpsc::channel(1);
        let body = stream::once(async { Ok(Bytes::from_static(b"begun")) })
            .chain(stream::unfold(body, |mut body| async { Some((body.recv().await?, body)) }));
        let http = http.clone();
        let answer = tokio::spawn(async move { http.put(&path, Body::wrap_stream(body)).await });
        SlowUpload { feed, answer }
    }
}

/// Uploads that stand still hold their permits; one more is refused, and told when to come again.
async fn too_many_puts(http: &Http, folder: &str) -> Result<()> {
    let path = |i: usize| format!("/v1/storage/{folder}/slow{i}");
    let mut uploads: Vec<SlowUpload> = (0..PUTS_MAX).map(|i| SlowUpload::begin(http, path(i))).collect();
    let one_more = async {
        loop {
            // Until the slow ones have arrived, there is room for this; and one of them may have
            // found it in its place.
            let answer = http.put(&format!("/v1/storage/{folder}/one-more"), "x").await?;
            let refused = uploads.iter().position(|upload| upload.answer.is_finished());
            match refused {
                Some(i) => uploads[i] = SlowUpload::begin(http, path(i)),
                None if answer.status == 503 => return Ok::<_, anyhow::Error>(answer),
                None => {}
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), one_more).await.context("never refused")??;
    ensure!(refused.header("retry-after") == "5", "Retry-After: {:?}", refused.header("retry-after"));
    refused.problem(503, "overloaded")?;
    // What runs is not disturbed.
    for SlowUpload { feed, answer } in uploads {
        drop(feed);
        let answer = answer.await??;
        ensure!(matches!(answer.status, 200 | 201), "a slow upload: {} {}", answer.status, answer.text());
    }
    let after = http.put(&format!("/v1/storage/{folder}/after"), "x").await?;
    ensure!(matches!(after.status, 200 | 201), "after the rush: {}", after.status);
    Ok(())
}

async fn too_slow(http: &Http) -> Result<()> {
    let endless = json!({ "sql": ENDLESS, "timeout_ms": TIMEOUT_MS });
    let started = Instant::now();
    http.post_json("/v1/sql", &endless).await?.problem(504, "deadline_exceeded")?;
    let over = started.elapsed().saturating_sub(Duration::from_millis(TIMEOUT_MS));
    ensure!(over < STOP_WITHIN, "stopped {over:?} too late");
    // Clients that leave take their statements with them: many more than may run at once.
    let abandoned = json!({ "sql": ENDLESS });
    for _ in 0..20 {
        let left = tokio::time::timeout(Duration::from_millis(50), http.post_json("/v1/sql", &abandoned)).await;
        ensure!(left.is_err(), "an endless statement was answered");
    }
    let quick = (0..8).map(|_| http.value("SELECT 42"));
    let started = Instant::now();
    for value in join_all(quick).await {
        ensure!(value? == 42, "another value");
    }
    ensure!(started.elapsed() < STOP_WITHIN, "abandoned statements still run");
    Ok(())
}

async fn not_so(http: &Http) -> Result<()> {
    http.send(http.request(Method::PATCH, "/v1/sql")).await?.problem(405, "method_not_allowed")?;
    let xml = http.request(Method::POST, "/v1/sql").header("content-type", "application/xml").body("<sql/>");
    http.send(xml).await?.problem(415, "unsupported_media_type")?;
    let broken = http.request(Method::POST, "/v1/sql").body("{\"sql\": ");
    http.send(broken).await?.problem(400, "invalid_argument")?;
    // curl's default type passes for JSON.
    let form = http.request(Method::POST, "/v1/sql").header("content-type", "application/x-www-form-urlencoded");
    http.send(form.body("{\"sql\": \"SELECT 1\"}")).await?.is(200)?;
    let ingest = http.request(Method::POST, "/v1/ingest/never").header("content-type", "image/png").body("x");
    http.send(ingest).await?.problem(415, "unsupported_media_type")?;
    Ok(())
}
