//! What each limit answers, and what can be seen from outside.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::platform::{Platform, answer};

type Chunks = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// A body that is sent piece by piece, without a length.
pub(crate) fn piecewise() -> (Chunks, reqwest::Body) {
    let (chunks, queue) = mpsc::channel(1);
    (chunks, reqwest::Body::wrap_stream(ReceiverStream::new(queue)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_refused_and_gone() {
    let platform = Platform::with(|config| config.max_upload_bytes = 1_000).await;
    platform.ingest("t", vec![b'x'; 1_001]).await.refused(413, "payload_too_large");
    let (chunks, body) = piecewise();
    // No end of the body is ever sent: the count alone refuses it.
    let sending = tokio::spawn(async move {
        for _ in 0..3 {
            chunks.send(Ok(Bytes::from_static(&[b'x'; 400]))).await.unwrap();
        }
        chunks
    });
    answer(platform.post("t").body(body)).await.refused(413, "payload_too_large");
    sending.abort();
    platform.assert_untouched("t").await;
    assert_eq!(platform.spooled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_is_507() {
    let platform = Platform::with(|config| config.spool_bytes_max = 1_000).await;
    platform.ingest("t", vec![b'x'; 1_001]).await.refused(507, "insufficient_storage");
    platform.ingest("t", "a\n1\n").await.expect(201);
    assert_eq!(platform.spooled(), 0, "what was refused gave its room back");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_ingests_at_once_it_is_503_with_a_time_to_come_back() {
    let platform = Platform::with(|config| config.concurrent_ingests_max = 1).await;
    let (chunks, body) = piecewise();
    let first = tokio::spawn(answer(platform.post("first").body(body)));
    chunks.send(Ok(Bytes::from_static(b"a\n1\n"))).await.unwrap();
    // Who has a spooled file has its permit.
    while platform.spooled() == 0 {
        tokio::task::yield_now().await;
    }
    let refused = platform.ingest("second", "a\n1\n").await;
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("5")));
    drop(chunks);
    assert_eq!(first.await.unwrap().expect(201)["rows"], 1);
    platform.ingest("third", "a\n1\n").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_takes_too_long_is_504_and_leaves_nothing() {
    let platform = Platform::with(|config| config.request_timeout = std::time::Duration::from_millis(1)).await;
    let mut text = "id,name\n".to_owned();
    (0..200_000).for_each(|row| text.push_str(&format!("{row},name of {row}\n")));
    platform.ingest("t", text).await.refused(504, "deadline_exceeded");
    platform.assert_untouched("t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_can_be_seen_from_outside() {
    let platform = Platform::start().await;
    platform.ingest("t?on_error=skip&types=a:INTEGER", "a\n1\nx\n2\n").await.expect(201);
    let get = |path: &str| answer(platform.client.get(platform.ingestd.url().join(path).unwrap()));
    let metrics = get("metrics").await.expect(200);
    let metrics = metrics.as_str().unwrap();
    for line in ["ingest_rows_total 2", "ingest_rejects_total 1", "ingest_received_bytes_total 8", "ingest_running 0"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(metrics.contains("ingest_phase_seconds_count{phase=\"Convert\"} 1"), "{metrics}");
    let openapi = get("openapi.json").await.expect(200);
    let parameters = openapi["paths"]["/v1/ingest/{name}"]["post"]["parameters"].as_array().unwrap();
    for name in ["name", "format", "mode", "on_error", "types", "request_id", "timestamp_format"] {
        assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{name}");
    }
}
