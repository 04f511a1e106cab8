//! REST over HTTP/2 without TLS (prior knowledge): the same, many at once on one connection.

use std::convert::Infallible;

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::service::{Event, Platform};
use crate::wire::PATIENCE;

type Body = BoxBody<Bytes, Infallible>;

/// One connection.
#[derive(Clone)]
struct Client {
    sender: SendRequest<Body>,
    authority: String,
}

impl Client {
    async fn connect(platform: &Platform) -> Self {
        let address = platform.gateway.address();
        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (sender, driver) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(driver);
        Client { sender, authority: address.to_string() }
    }

    async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: Body) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{target}", self.authority));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answered = self.sender.clone().send_request(request.body(body).unwrap());
        let answer = timeout(PATIENCE, answered).await.expect("an answer").unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        answer
    }

    async fn get(&self, target: &str) -> Response<Incoming> {
        self.send(Method::GET, target, &[], Empty::new().boxed()).await
    }
}

fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

/// Of no stated length.
fn pieces(count: usize, bytes: usize) -> Body {
    let piece = move |_| Ok(Frame::data(Bytes::from(vec![b'x'; bytes])));
    BodyExt::boxed(StreamBody::new(stream::iter((0..count).map(piece))))
}

async fn json(answer: Response<Incoming>) -> Value {
    let body = timeout(PATIENCE, answer.into_body().collect()).await.expect("a whole body").unwrap();
    serde_json::from_slice(&body.to_bytes()).unwrap()
}

#[tokio::test]
async fn request_and_answer_come_through() {
    let platform = Platform::start().await;
    let client = Client::connect(&platform).await;
    let target = "/v1/storage/echo/a%20b/%2F?x=%2e%2e&empty";
    let headers = [("x-other", "kept"), ("x-forwarded-for", "6.6.6.6"), ("x-request-id", "mine")];
    let answer = client.send(Method::GET, target, &headers, Empty::new().boxed()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-request-id"], "mine");
    let echo = json(answer).await;
    assert_eq!(echo["target"], target);
    let mut seen: Vec<String> = serde_json::from_value(echo["headers"].clone()).unwrap();
    seen.retain(|header| !header.starts_with("traceparent: "));
    seen.sort_unstable();
    let expected = [
        format!("host: {}", platform.service.address()),
        "x-forwarded-for: 127.0.0.1".to_owned(),
        format!("x-forwarded-host: {}", platform.gateway.address()),
        "x-forwarded-proto: http".to_owned(),
        "x-other: kept".to_owned(),
        "x-request-id: mine".to_owned(),
    ];
    assert_eq!(seen, expected);

    let head = client.send(Method::HEAD, target, &[], Empty::new().boxed()).await;
    assert!(head.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap() > 100);
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn bodies_of_any_form_come_through() {
    let platform = Platform::start().await;
    let client = Client::connect(&platform).await;
    for (body, bytes) in [(whole("{}"), 2), (whole(""), 0), (pieces(0, 0), 0), (pieces(3, 5), 15)] {
        let answer = client.send(Method::POST, "/v1/sql", &[], body).await;
        assert_eq!(json(answer).await["bytes"], bytes);
    }
    let long = client.send(Method::PUT, "/v1/storage/echo/x", &[], pieces(320, 64 << 10)).await;
    assert_eq!(json(long).await["bytes"], 20 << 20);
    let asked = [("expect", "100-continue")];
    let awaited = client.send(Method::PUT, "/v1/storage/echo/x", &asked, whole("hello")).await;
    assert_eq!(json(awaited).await["bytes"], 5);
}

#[tokio::test]
async fn refusals_are_problems() {
    let platform = Platform::with(|config| config.http.message_bytes_max = 1_000, axum::Router::new()).await;
    let client = Client::connect(&platform).await;
    let foreign = Client { authority: "evil.example".to_owned(), ..client.clone() };
    for (client, method, target, body, status, code) in [
        (&client, Method::GET, "/v1/storages", whole(""), 404, "not_found"),
        (&client, Method::GET, "/v1/storage/echo/%2e%2e/x", whole(""), 400, "invalid_argument"),
        (&client, Method::TRACE, "/v1/storage/echo/x", whole(""), 405, "method_not_allowed"),
        (&client, Method::GET, "/v1/cache/stats", whole(""), 501, "unimplemented"),
        (&client, Method::POST, "/v1/sql", whole("x".repeat(1_001)), 413, "payload_too_large"),
        (&client, Method::POST, "/v1/sql", pieces(1_001, 1), 413, "payload_too_large"),
        (&foreign, Method::GET, "/v1/storage/echo/x", whole(""), 403, "permission_denied"),
    ] {
        let answer = client.send(method.clone(), target, &[], body).await;
        assert_eq!(answer.status(), status, "{method} {target}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {target}");
        assert_eq!(json(answer).await["code"], code, "{method} {target}");
    }
    assert_eq!(client.get("/v1/storage/echo/x").await.status(), 200, "the connection goes on");
}

#[tokio::test]
async fn many_at_once_do_not_wait_for_one() {
    let mut platform = Platform::start().await;
    let client = Client::connect(&platform).await;
    let stuck = client.clone();
    let stuck = tokio::spawn(async move { stuck.get("/v1/storage/never").await });
    assert_eq!(platform.next().await, Event::Started);
    let targets: Vec<String> = (0..50).map(|n| format!("/v1/storage/echo/{n}")).collect();
    let answers = futures::future::join_all(targets.iter().map(|target| client.get(target))).await;
    for (target, answer) in targets.iter().zip(answers) {
        assert_eq!(&json(answer).await["target"], target);
    }
    stuck.abort();
    assert_eq!(platform.next().await, Event::Dropped, "a reset takes the request to the service with it");
    assert_eq!(client.get("/v1/storage/echo/x").await.status(), 200);
}

#[tokio::test]
async fn answers_end_where_the_client_or_the_service_ends_them() {
    let mut platform = Platform::start().await;
    let client = Client::connect(&platform).await;
    let mut endless = client.get("/v1/storage/endless").await.into_body();
    assert_eq!(platform.next().await, Event::Started);
    assert!(endless.frame().await.unwrap().unwrap().data_ref().unwrap().starts_with(b"xxxx"));
    drop(endless);
    assert_eq!(platform.next().await, Event::Dropped);

    let mut broken = client.get("/v1/storage/breaks").await.into_body();
    assert_eq!(broken.frame().await.unwrap().unwrap().data_ref().unwrap(), "the first piece");
    let end = timeout(PATIENCE, broken.frame()).await.expect("an end");
    assert!(matches!(end, Some(Err(_))), "an answer that broke off must not look whole: {end:?}");
    assert_eq!(client.get("/v1/storage/echo/x").await.status(), 200, "one stream, not the connection");
}
