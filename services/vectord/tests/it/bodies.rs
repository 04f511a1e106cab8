//! What may be sent, how long it may be, and what comes back.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::platform::{Platform, body, workers};

const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Room for 200 workers, not for 2,000.
async fn narrow() -> Platform {
    let platform = Platform::with(|config| {
        config.batch_bytes_max = 40_000;
        config.http.message_bytes_max = 5_000;
    })
    .await;
    platform.create("a", 3, "cosine").await;
    platform
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_may_be_longer_than_a_message_and_no_longer_than_its_own_limit() {
    let platform = narrow().await;
    let batch = json!({ "items": workers(200) });
    assert!((5_000..40_000).contains(&batch.to_string().len()));
    platform.done("index/a/add", batch).await;
    let refused = platform.refused("index/a/add", json!({ "items": workers(2_000) }), 413).await;
    assert_eq!(refused, "the body is longer than 40000 bytes (batch_bytes_max)");
    let long = json!({ "vectors": vec![[1.25, 2.25, 3.25]; 1_000] });
    assert!(platform.refused("index/a/search", long, 413).await.contains("message_bytes_max"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stated_length_is_refused_before_anything_is_sent() {
    let platform = narrow().await;
    let mut stream = TcpStream::connect(platform.vectord.address()).await.unwrap();
    let head = "POST /v1/vectors/index/a/add HTTP/1.1\r\nhost: localhost\r\ncontent-length: 40001\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_not_stated_is_counted() {
    let platform = narrow().await;
    let chunks = |count: usize| (0..count).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000]));
    for (count, status) in [(41, StatusCode::PAYLOAD_TOO_LARGE), (39, StatusCode::BAD_REQUEST)] {
        let body = reqwest::Body::wrap_stream(tokio_stream::iter(chunks(count)));
        let answer = platform.request(Method::POST, "index/a/add").body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{count} thousand spaces");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_and_arrow_are_taken_and_given() {
    let platform = narrow().await;
    let search = json!({ "vector": [1, 2, 3] }).to_string();
    for (path, header, value, status) in [
        ("index/a/add", "content-type", "text/csv", 415),
        ("index/a/search", "content-type", ARROW, 415),
        ("index/a/delete", "content-type", "text/plain", 415),
        ("index", "content-type", "text/plain", 415),
        ("index/a/search", "accept", "text/csv", 406),
        ("index/a/search", "accept", "application/json;q=0", 406),
        ("index/a/search", "accept", "text/csv, */*;q=0.1", 200),
        ("index/a/search", "content-type", "application/x-www-form-urlencoded", 200),
    ] {
        let request = platform.request(Method::POST, path).header(header, value).body(search.clone());
        let (found, problem) = body(request.send().await.unwrap()).await;
        assert_eq!(found.as_u16(), status, "{path} {header} {value}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_paths_and_hosts_are_refused() {
    let platform = narrow().await;
    for (method, path, status) in [
        (Method::GET, "index/a/add", 405),
        (Method::PUT, "index/a", 405),
        (Method::POST, "index/a/items/x", 405),
        (Method::POST, "alias/a", 405),
        (Method::GET, "nothing", 404),
        (Method::POST, "index/a/flush", 404),
    ] {
        let (found, problem) = body(platform.request(method.clone(), path).send().await.unwrap()).await;
        assert_eq!(found.as_u16(), status, "{method} {path}");
        assert!(problem["code"].is_string(), "{problem}");
    }
    let foreign = platform.request(Method::GET, "index").header("host", "evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_refused_with_its_place() {
    let platform = narrow().await;
    for (text, told) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("7", "invalid type"),
        (r#"{"items":[]}x"#, "trailing characters"),
        (r#"{"items":[],"items":[]}"#, "duplicate field"),
        ("\u{feff}{}", "expected value"),
    ] {
        let answer = platform.request(Method::POST, "index/a/add").body(text).send().await.unwrap();
        let (status, problem): (_, Value) = body(answer).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(problem["detail"].as_str().unwrap().contains(told), "{text}: {problem}");
    }
}
