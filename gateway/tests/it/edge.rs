//! Which requests come through, and as what.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::service::{Event, Platform, gateway, nobody};
use crate::wire::{get, raw, send, to_end, until};

#[tokio::test]
async fn target_is_passed_byte_for_byte() {
    let platform = Platform::start().await;
    let target = "/v1/storage/echo/a%20b/%2F/%C3%A9//c?x=%2e%2e&y=/../&empty";
    let answer = get(platform.gateway.address(), target).await;
    assert_eq!(answer.json()["target"], target, "{answer:?}");
}

#[tokio::test]
async fn headers_of_the_hop_are_not_passed_and_claims_are_replaced() {
    let platform = Platform::start().await;
    let address = platform.gateway.address();
    let request = format!(
        "GET http://{address}/v1/storage/echo/x HTTP/1.1\r\nhost: localhost\r\nconnection: close, x-private, upgrade\r\n\
         upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nx-private: 1\r\nkeep-alive: 5\r\nte: trailers\r\n\
         x-forwarded-for: 6.6.6.6\r\nx-forwarded-prefix: /x\r\nforwarded: for=6.6.6.6\r\norigin: http://localhost\r\n\
         x-request-id: mine\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx-other: kept\r\n\r\n"
    );
    let answer = raw(address, &request).await;
    let mut headers: Vec<String> = serde_json::from_value(answer.json()["headers"].clone()).unwrap();
    headers.sort_unstable();
    let expected = [
        format!("host: {}", platform.service.address()),
        "te: trailers".to_owned(),
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        "x-forwarded-for: 127.0.0.1".to_owned(),
        format!("x-forwarded-host: {address}"),
        "x-forwarded-proto: http".to_owned(),
        "x-other: kept".to_owned(),
        "x-request-id: mine".to_owned(),
    ];
    assert_eq!(headers, expected);
    assert!(answer.head.contains("x-request-id: mine"), "{answer:?}");
}

#[tokio::test]
async fn request_id_is_made_once() {
    let platform = Platform::start().await;
    let answer = get(platform.gateway.address(), "/v1/storage/echo/x").await;
    let made = answer.head.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect::<Vec<_>>();
    assert_eq!(made.len(), 1);
    assert!(answer.body.contains(&format!("x-request-id: {}", made[0])), "{answer:?}");
}

#[tokio::test]
async fn what_is_no_route_is_a_problem() {
    let platform = Platform::start().await;
    let address = platform.gateway.address();
    for (target, status, code) in [
        ("/v1/storage/echo/../x", 400, "invalid_argument"),
        ("/v1/storage/echo/%2e%2E/x", 400, "invalid_argument"),
        ("/v1/storage/echo/a%2f..%2fb", 400, "invalid_argument"),
        ("/v1/storage/echo/%zz", 400, "invalid_argument"),
        ("/%2e%2e/v1/storage", 400, "invalid_argument"),
        ("/v1/storages", 404, "not_found"),
        ("//v1/storage/echo/x", 404, "not_found"),
        ("/v1/%73torage/echo/x", 404, "not_found"),
        ("/lakehouse.internal.v1.ObjectStore/List", 404, "not_found"),
        ("/v1/cache/stats", 501, "unimplemented"),
    ] {
        let answer = get(address, target).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target}");
        assert!(answer.head.contains("content-type: application/problem+json"), "{target}");
    }
    assert_eq!(send(address, "TRACE", "/v1/storage/echo/x", &[], "").await.status, 405);
    let foreign =
        raw(address, "GET /v1/storage/echo/x HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await;
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "permission_denied"));
    let page = send(address, "GET", "/v1/storage/echo/x", &["origin: http://evil.example"], "").await;
    assert_eq!(page.status, 403);
}

#[tokio::test]
async fn down_slow_and_crowded_services_are_told_apart() {
    let url = nobody().await;
    let down = gateway(&url, |_| {}).await;
    let answer = get(down.address(), "/v1/sql").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "bad_gateway"));
    assert_eq!(answer.json()["detail"], "queryd cannot be reached");

    let limited = |config: &mut gateway::Config| {
        config.upstream_timeout = Duration::from_millis(200);
        config.upstream_concurrency_max = 1;
    };
    let mut platform = Platform::with(limited, axum::Router::new()).await;
    let address = platform.gateway.address();
    let slow = tokio::spawn(async move { get(address, "/v1/storage/never").await });
    assert_eq!(platform.next().await, Event::Started);
    let crowded = get(address, "/v1/storage/echo/x").await;
    assert_eq!((crowded.status, crowded.code().as_str()), (503, "overloaded"));
    assert!(crowded.head.contains("retry-after: 1"), "{crowded:?}");
    let late = slow.await.unwrap();
    assert_eq!((late.status, late.code().as_str()), (504, "deadline_exceeded"));
    assert_eq!(platform.next().await, Event::Dropped, "nobody waits for it any more");
    assert_eq!(get(address, "/v1/storage/echo/x").await.status, 200, "its place is free again");
}

#[tokio::test]
async fn connection_that_went_stale_is_not_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let gateway = gateway(&url, |_| {}).await;
    // Answers once per connection, promises to keep it, reads the next request, closes.
    let service = tokio::spawn(async move {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                until(&mut stream, "\r\n\r\n").await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                until(&mut stream, "\r\n\r\n").await;
            });
        }
    });
    assert_eq!(get(gateway.address(), "/v1/storage/x").await.status, 200);
    assert_eq!(get(gateway.address(), "/v1/storage/x").await.status, 200, "sent again on a new connection");
    let post = send(gateway.address(), "POST", "/v1/sql", &[], "{}").await;
    assert_eq!(post.status, 200, "another service: a connection of its own");
    let again = send(gateway.address(), "POST", "/v1/sql", &[], "{}").await;
    assert_eq!(again.code(), "bad_gateway", "it may have been acted on: {again:?}");
    service.await.unwrap();
}

#[tokio::test]
async fn ambiguous_framing_reaches_no_service_as_two_requests() {
    let platform = Platform::start().await;
    let address = platform.gateway.address();
    let head = format!("POST /v1/storage/echo/x HTTP/1.1\r\nhost: {address}\r\n");
    for bad in [
        format!("{head}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd"),
        format!("{head}content-length: +3\r\n\r\nabc"),
        format!("{head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        format!("{head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        format!("{head}x-y : 1\r\ncontent-length: 0\r\n\r\n"),
        format!("{head}x\0y: 1\r\n\r\n"),
        head.replace("1.1", "1.0") + "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(raw(address, &bad).await.status, 400, "{bad:?}");
    }
    // RFC 9112, 6.3: the coding wins, the length is not passed on, and the connection ends, so
    // that what follows is nobody's request.
    let both = format!(
        "{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/storage/echo/smuggled HTTP/1.1\r\nhost: {address}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(both.as_bytes()).await.unwrap();
    let answers = String::from_utf8(to_end(&mut stream).await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(!answers.contains("smuggled") && !answers.contains("content-length: 5"), "{answers}");
}

#[tokio::test]
async fn heads_have_a_limit() {
    let platform = Platform::start().await;
    let address = platform.gateway.address();
    let many: String = (0..101).map(|i| format!("x-{i}: 1\r\n")).collect();
    let answer = raw(address, &format!("GET /v1/storage/echo/x HTTP/1.1\r\nhost: {address}\r\n{many}\r\n")).await;
    assert_eq!(answer.status, 431);
}
