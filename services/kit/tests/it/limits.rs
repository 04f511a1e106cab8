//! Clients that are slow, many, or do not read.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::service::{connect, one, send, start, to_end};

#[tokio::test]
async fn slow_head_is_cut_off_and_an_idle_connection_is_not() {
    let (server, _) = start(|http| http.header_timeout = Duration::from_millis(300)).await;
    let request = format!("GET /id HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    let mut idle = connect(server.address(), &request).await;
    one(&mut idle).await;
    let mut slow = connect(server.address(), "GET /id HTTP/1.1\r\nhost").await;
    assert_eq!(to_end(&mut slow).await.status, 0, "closed without an answer");
    idle.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(one(&mut idle).await.status, 200, "it has waited longer than a head may take");
}

#[tokio::test]
async fn idle_connection_ends() {
    let (server, _) = start(|http| http.idle_timeout = Duration::from_millis(300)).await;
    let request = format!("GET /id HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    let mut kept = connect(server.address(), &request).await;
    assert_eq!(to_end(&mut kept).await.status, 200);
    let mut silent = connect(server.address(), "").await;
    assert_eq!(to_end(&mut silent).await.status, 0);
}

#[tokio::test]
async fn slow_body_is_cut_off() {
    let (server, _) = start(|http| http.body_idle_timeout = Duration::from_millis(200)).await;
    let request = format!("POST /order HTTP/1.1\r\nhost: {}\r\ncontent-length: 9\r\n\r\n{{", server.address());
    let answer = to_end(&mut connect(server.address(), &request).await).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn idle_connections_make_room_for_a_newcomer() {
    let (server, _) = start(|http| http.connections_max = 2).await;
    let request = format!("GET /id HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(server.address(), &request).await;
        one(&mut stream).await;
        kept.push(stream);
    }
    assert_eq!(send(server.address(), "GET", "/id", &[], "").await.status, 200);
}

#[tokio::test]
async fn client_that_does_not_read_is_cut_off() {
    let (server, signals) = start(|http| http.write_idle_timeout = Duration::from_millis(300)).await;
    let flood = format!("GET /floods HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    let _unread = connect(server.address(), &flood).await;
    signals.finish.notified().await;
}

#[tokio::test]
async fn long_heads_are_refused() {
    let (server, _) = start(|_| {}).await;
    let many: String = (0..101).map(|i| format!("x-{i}: 1\r\n")).collect();
    let request = format!("GET /id HTTP/1.1\r\nhost: {}\r\n{many}\r\n", server.address());
    assert_eq!(to_end(&mut connect(server.address(), &request).await).await.status, 431);
}

#[tokio::test]
async fn client_that_keeps_sending_gets_its_refusal() {
    let (server, _) = start(|http| http.message_bytes_max = 100).await;
    let head = format!("POST /order HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", server.address(), 1_u64 << 40);
    let mut stream = connect(server.address(), &head).await;
    stream.write_all(&vec![b' '; 8 << 20]).await.unwrap();
    assert_eq!(to_end(&mut stream).await.status, 413);
}

#[tokio::test]
async fn client_that_sends_for_ever_is_cut_off() {
    let (server, _) = start(|http| http.message_bytes_max = 100).await;
    let head = format!("POST /order HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", server.address(), 1_u64 << 40);
    let mut stream = connect(server.address(), &head).await;
    let piece = vec![b' '; 1 << 20];
    let endless = async { while stream.write_all(&piece).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), endless).await.unwrap();
}

#[tokio::test]
async fn a_message_may_be_as_long_as_configured_and_no_longer() {
    let (server, _) = start(|http| http.message_bytes_max = 4 << 20).await;
    for (bytes, status) in [(4 << 20, 200), ((4 << 20) + 1, 413)] {
        let order = r#"{"items":[]}"#;
        let padding = " ".repeat(bytes - order.len());
        let request = format!(
            "POST /order HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n{order}{padding}",
            server.address()
        );
        assert_eq!(to_end(&mut connect(server.address(), &request).await).await.status, status, "{bytes} bytes");
    }
}

#[tokio::test]
async fn who_is_answered_unread_is_told_that_the_connection_closes() {
    let (server, _) = start(|_| {}).await;
    let post =
        |route: &str| format!("POST {route} HTTP/1.1\r\nhost: {}\r\ncontent-length: 3\r\n\r\nabc", server.address());
    let mut stream = connect(server.address(), &post("/reads")).await;
    let read = one(&mut stream).await;
    assert_eq!((read.status, read.header("connection")), (200, None));
    stream.write_all(post("/id").as_bytes()).await.unwrap();
    let unread = to_end(&mut stream).await;
    assert_eq!((unread.status, unread.header("connection")), (405, Some("close")));
}
