//! Being told to stop.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::service::{connect, one, send, start, to_end};

#[tokio::test]
async fn running_request_ends_while_readiness_fails() {
    let (server, signals) = start(|http| http.shutdown_grace = Duration::from_secs(20)).await;
    let address = server.address();
    let host = format!("host: {address}\r\n\r\n");
    let mut running = connect(address, &format!("GET /waits HTTP/1.1\r\n{host}")).await;
    signals.started.notified().await;
    let mut idle = connect(address, &format!("GET /id HTTP/1.1\r\n{host}")).await;
    one(&mut idle).await;
    let mut fresh = connect(address, "").await;
    assert_eq!(send(address, "GET", "/health/readiness", &[], "").await.status, 200);

    let stopping = tokio::spawn(server.stop());
    to_end(&mut idle).await;
    let ready = send(address, "GET", "/health/readiness", &[], "").await;
    assert_eq!((ready.status, ready.json()["code"].as_str()), (503, Some("unavailable")));
    assert_eq!(send(address, "GET", "/health/liveness", &[], "").await.status, 200);
    let refused = send(address, "GET", "/id", &[], "").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(to_end(&mut fresh).await.status, 0, "it never asked for anything");

    signals.finish.notify_one();
    let answer = to_end(&mut running).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    stopping.await.unwrap();
}

#[tokio::test]
async fn request_that_takes_too_long_is_cut_and_the_end_is_clean() {
    let (server, signals) = start(|http| http.shutdown_grace = Duration::from_millis(300)).await;
    let request = format!("GET /waits HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    let mut running = connect(server.address(), &request).await;
    signals.started.notified().await;
    server.stop().await;
    assert_eq!(to_end(&mut running).await.status, 0);
}

#[tokio::test]
async fn delay_before_the_drain_serves_everything() {
    let (server, signals) = start(|http| http.shutdown_delay = Duration::from_millis(1_500)).await;
    let address = server.address();
    let request = format!("GET /id HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut kept = connect(address, &request).await;
    one(&mut kept).await;
    let stopping = tokio::spawn(server.stop());
    while send(address, "GET", "/health/readiness", &[], "").await.status == 200 {}
    assert_eq!(send(address, "GET", "/id", &[], "").await.status, 200);
    kept.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(one(&mut kept).await.status, 200);
    signals.finish.notify_one();
    stopping.await.unwrap();
}
