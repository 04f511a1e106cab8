//! Bodies in both directions: streamed, limited, and cut where one side gives up.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::service::{Event, Platform};
use crate::wire::{get, send, to_end, until};

async fn connected(platform: &Platform, request: &str) -> TcpStream {
    let address = platform.gateway.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = request.replace("HOST", &format!("host: {address}"));
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn client_that_leaves_before_the_answer_ends_its_request() {
    let mut platform = Platform::start().await;
    let client = connected(&platform, "GET /v1/storage/never HTTP/1.1\r\nHOST\r\n\r\n").await;
    assert_eq!(platform.next().await, Event::Started);
    drop(client);
    assert_eq!(platform.next().await, Event::Dropped);
}

#[tokio::test]
async fn client_that_leaves_in_the_middle_of_an_answer_ends_it() {
    let mut platform = Platform::start().await;
    let mut client = connected(&platform, "GET /v1/storage/endless HTTP/1.1\r\nHOST\r\n\r\n").await;
    assert_eq!(platform.next().await, Event::Started);
    until(&mut client, "xxxx").await;
    drop(client);
    assert_eq!(platform.next().await, Event::Dropped);
}

#[tokio::test]
async fn answer_that_breaks_off_breaks_off_for_the_client_too() {
    let platform = Platform::start().await;
    let mut client = connected(&platform, "GET /v1/storage/breaks HTTP/1.1\r\nHOST\r\n\r\n").await;
    let raw = String::from_utf8(to_end(&mut client).await).unwrap();
    assert!(raw.contains("200 OK") && raw.contains("the first piece"), "{raw}");
    assert!(!raw.contains("\r\n0\r\n\r\n"), "the last chunk would say that all is there: {raw}");
}

#[tokio::test]
async fn refused_upload_is_never_sent() {
    let platform = Platform::start().await;
    let request =
        "PUT /v1/storage/refuses HTTP/1.1\r\nHOST\r\ncontent-length: 1000000000\r\nexpect: 100-continue\r\n\r\n";
    let mut client = connected(&platform, request).await;
    let head = until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
}

#[tokio::test]
async fn client_that_keeps_sending_gets_its_refusal() {
    let platform = Platform::start().await;
    let request = "PUT /v1/storage/refuses HTTP/1.1\r\nHOST\r\ncontent-length: 1000000000\r\n\r\n";
    let mut client = connected(&platform, request).await;
    client.write_all(&vec![b'x'; 8 << 20]).await.unwrap();
    let head = until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
}

#[tokio::test]
async fn awaited_upload_is_sent_when_the_service_wants_it() {
    let platform = Platform::start().await;
    let request = "PUT /v1/storage/echo/x HTTP/1.1\r\nHOST\r\ncontent-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n";
    let mut client = connected(&platform, request).await;
    assert!(until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 100"));
    client.write_all(b"hello").await.unwrap();
    let answer = until(&mut client, "}").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"bytes\":5"), "{answer}");
}

#[tokio::test]
async fn json_routes_have_a_limit_and_files_have_the_services_own() {
    let platform = Platform::with(|config| config.http.message_bytes_max = 1_000, axum::Router::new()).await;
    let address = platform.gateway.address();
    let long = "x".repeat(1_001);
    let stated = send(address, "POST", "/v1/sql", &[], &long).await;
    assert_eq!((stated.status, stated.code().as_str()), (413, "payload_too_large"));
    let chunked = format!("3e9\r\n{long}\r\n0\r\n\r\n");
    let request =
        format!("POST /v1/sql HTTP/1.1\r\nHOST\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunked}");
    let mut client = connected(&platform, &request).await;
    let counted = String::from_utf8(to_end(&mut client).await).unwrap();
    assert!(counted.starts_with("HTTP/1.1 413"), "{counted}");
    assert_eq!(send(address, "POST", "/v1/sql", &[], &long[1..]).await.json()["bytes"], 1_000);
    assert_eq!(send(address, "PUT", "/v1/storage/echo/x", &[], &long).await.json()["bytes"], 1_001);
    assert_eq!(send(address, "POST", "/v1/ingest/echo", &[], &long).await.json()["bytes"], 1_001);
}

#[tokio::test]
async fn large_upload_passes_in_pieces() {
    let platform = Platform::start().await;
    let body = "x".repeat(20 << 20);
    let answer = send(platform.gateway.address(), "PUT", "/v1/storage/echo/x", &[], &body).await;
    assert_eq!(answer.json()["bytes"], 20 << 20);
}

#[tokio::test]
async fn stalled_upload_is_cut_off() {
    let short = |config: &mut gateway::Config| config.http.body_idle_timeout = std::time::Duration::from_millis(200);
    let platform = Platform::with(short, axum::Router::new()).await;
    let request = "PUT /v1/storage/echo/x HTTP/1.1\r\nHOST\r\ncontent-length: 5\r\n\r\nhe";
    let mut client = connected(&platform, request).await;
    let raw = String::from_utf8(to_end(&mut client).await).unwrap();
    assert!(raw.starts_with("HTTP/1.1 400") && raw.contains("stalled"), "{raw}");
}

#[tokio::test]
async fn head_keeps_the_length_of_what_it_does_not_send() {
    let platform = Platform::start().await;
    let address = platform.gateway.address();
    let length = |head: &str| head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(str::to_owned);
    // The echo of HEAD is as long as that of GET, and one character more in the method's name.
    let whole = get(address, "/v1/storage/echo/x").await;
    let head = send(address, "HEAD", "/v1/storage/echo/x", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let bytes = |text: Option<String>| text.and_then(|text| text.parse::<usize>().ok()).unwrap();
    assert_eq!(bytes(length(&head.head)), bytes(length(&whole.head)) + 1);
}

#[tokio::test]
async fn connections_to_a_service_are_used_again() {
    let platform = Platform::start().await;
    let mut client = connected(&platform, "GET /v1/storage/echo/1 HTTP/1.1\r\nHOST\r\n\r\n").await;
    until(&mut client, "}").await;
    let next = format!("GET /v1/storage/echo/2 HTTP/1.1\r\nhost: {}\r\n\r\n", platform.gateway.address());
    client.write_all(next.as_bytes()).await.unwrap();
    assert!(until(&mut client, "}").await.contains("echo/2"));
}

#[tokio::test]
async fn trailers_reach_those_who_take_them() {
    let platform = Platform::start().await;
    for (takes, end) in [
        ("te: trailers\r\nconnection: te, close", "\r\n0\r\nx-end: reached\r\n\r\n"),
        ("connection: close", "\r\n0\r\n\r\n"),
    ] {
        let request = format!("GET /v1/storage/trails HTTP/1.1\r\nHOST\r\n{takes}\r\n\r\n");
        let raw = String::from_utf8(to_end(&mut connected(&platform, &request).await).await).unwrap();
        assert!(raw.contains("\r\nall") && raw.ends_with(end), "{raw}");
    }
}
