//! Time, room, and clients that leave.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::platform::Platform;

/// Computes for ever, without a row to show.
const ENDLESS: &str =
    "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE hash(a.range) % 7 = hash(b.range) % 11";
/// Gives rows for ever.
const STREAM: &str = "SELECT range, repeat('x', 100) FROM range(100000000000)";

async fn running(platform: &Platform) -> u64 {
    let metrics = platform.get("metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("queryd_statements_running ")).unwrap().to_owned();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

async fn until_running(platform: &Platform, wanted: u64) -> Duration {
    let started = Instant::now();
    while running(platform).await != wanted {
        assert!(started.elapsed() < Duration::from_secs(20), "still not {wanted}");
        tokio::task::yield_now().await;
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_stopped_when_its_time_is_up() {
    let platform = Platform::start().await;
    // Too short to have begun, short, and in the midst of it.
    for timeout_ms in [1, 50, 300] {
        let started = Instant::now();
        let (status, body) = platform.ask(json!({ "sql": ENDLESS, "timeout_ms": timeout_ms })).await;
        assert_eq!((status, &body["code"]), (504, &json!("deadline_exceeded")), "{body}");
        let over = started.elapsed().saturating_sub(Duration::from_millis(timeout_ms));
        assert!(over < Duration::from_millis(200), "{timeout_ms}: {over:?} over");
        until_running(&platform, 0).await;
    }
    let (status, _) = platform.ask(json!({ "sql": "SELECT 1", "timeout_ms": 86_400_000 })).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_is_stopped_at_its_deadline_too() {
    let platform = Platform::start().await;
    let mut answer = platform
        .post("v1/sql", &json!({ "sql": STREAM, "timeout_ms": 500 }))
        .header("accept", "text/csv")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    until_running(&platform, 0).await;
    let broken = async {
        while answer.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    assert!(broken.await.is_err());
}

/// Sends a statement over a connection of its own and reads as many bytes of the answer.
async fn begin(platform: &Platform, sql: &str, bytes: usize) -> TcpStream {
    let body = json!({ "sql": sql }).to_string();
    let mut socket = TcpStream::connect(platform.queryd.address()).await.unwrap();
    let head = format!("POST /v1/sql HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut read = vec![0; bytes];
    socket.read_exact(&mut read).await.unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_client_left_is_stopped() {
    let platform = Platform::start().await;
    for (sql, bytes) in [(ENDLESS, 0), (STREAM, 1_000)] {
        let socket = begin(&platform, sql, bytes).await;
        until_running(&platform, 1).await;
        drop(socket);
        let took = until_running(&platform, 0).await;
        assert!(took < Duration::from_millis(200), "{sql}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_is_told_to_come_again() {
    let platform = Platform::start_with(|config| {
        config.concurrent_queries_max = 1;
        config.queue_max = 1;
        config.queue_timeout = Duration::from_millis(300);
    })
    .await;
    let first = begin(&platform, ENDLESS, 0).await;
    until_running(&platform, 1).await;
    // One waits, and gives up; one more finds no room even to wait.
    let waiting = platform.ask(json!({ "sql": "SELECT 1" }));
    let refused = async {
        while !platform.get("metrics").await.contains("queryd_statements_waiting 1") {
            tokio::task::yield_now().await;
        }
        let started = Instant::now();
        let answer = platform.post("v1/sql", &json!({ "sql": "SELECT 1" })).send().await.unwrap();
        assert!(started.elapsed() < Duration::from_millis(200));
        (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
    };
    let ((status, body), refused) = tokio::join!(waiting, refused);
    assert_eq!((status, &body["code"]), (503, &json!("overloaded")));
    assert_eq!(refused, (503, true));
    drop(first);
    until_running(&platform, 0).await;
    assert_eq!(platform.rows("SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_run_at_once() {
    let platform = Platform::with_data().await;
    let asked = (0..32).map(|n| platform.ask(json!({ "sql": "SELECT count(*) + ? FROM workers", "params": [n] })));
    for (n, (status, body)) in futures::future::join_all(asked).await.into_iter().enumerate() {
        assert_eq!((status, &body["rows"][0][0]), (200, &json!(100 + n)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_needs_too_much_memory_takes_nothing_else_with_it() {
    let platform = Platform::start_with(|config| {
        config.memory_limit_bytes = 64 << 20;
        config.temp_bytes_max = 1 << 20;
    })
    .await;
    let (status, body) = platform.ask(json!({ "sql": "SELECT list(range || 'padding') FROM range(20000000)" })).await;
    assert_eq!((status, &body["code"]), (429, &json!("resource_exhausted")), "{body}");
    assert_eq!(platform.rows("SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_memory_goes_to_the_temp_folder() {
    let platform = Platform::start_with(|config| config.memory_limit_bytes = 100 << 20).await;
    // Sorts more than that: in a unit test of queryd, where it finds a full disk, it fails.
    let sql = "SELECT sum(length(s)) FROM (SELECT hash(range) AS h, repeat('x', 50) || range AS s \
               FROM range(3000000) ORDER BY h OFFSET 1)";
    let (status, body) = platform.ask(json!({ "sql": sql, "timeout_ms": 300_000 })).await;
    assert_eq!(status, 200, "{body}");
}
