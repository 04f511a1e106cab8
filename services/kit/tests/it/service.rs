//! A small service on `kit::server`, and a client that sends what it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures::stream;
use kit::extract::{Json, NoQuery};
use kit::server::{HttpConfig, Service};
use kit::testing::TestServer;
use kit::{Caller, Code, Problem, context};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Order {
    items: Vec<Item>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Item {
    count: u32,
}

/// What a test and the handlers tell each other.
#[derive(Default)]
pub(crate) struct Signals {
    pub(crate) started: Notify,
    pub(crate) finish: Notify,
}

pub(crate) async fn start(change: impl FnOnce(&mut HttpConfig)) -> (TestServer, &'static Signals) {
    let signals: &'static Signals = Box::leak(Box::default());
    let mut http = HttpConfig { shutdown_grace: Duration::from_millis(500), ..HttpConfig::default() };
    change(&mut http);
    let router = Router::new()
        .route("/order", post(|Json(order): Json<Order>| async move { axum::Json(order) }))
        .route("/id", get(|| async { context::request_id().unwrap_or_default() }))
        .route("/caller", get(|caller: Caller| async move { caller.tenant.to_string() }))
        .route("/panics", get(panics))
        .route(
            "/fails",
            get(|| async { Err::<(), _>(Problem::new(Code::BadGateway, "no answer").with_source("disk on fire")) }),
        )
        .route("/takes-nothing", get(|_: NoQuery| async { "nothing" }))
        .route("/reads", post(|body: Bytes| async move { body.len().to_string() }))
        .route(
            "/waits",
            get(move || async move {
                signals.started.notify_one();
                signals.finish.notified().await;
                "done"
            }),
        )
        .route("/floods", get(move || async move { floods(signals) }));
    let server = TestServer::start(|listener, shutdown| {
        let service = Service {
            name: "test",
            router,
            openapi: utoipa::openapi::OpenApi::default(),
            health: kit::Health::new(),
            registry: prometheus_client::registry::Registry::default(),
            http,
        };
        kit::server::run(service, listener, shutdown)
    });
    (server.await, signals)
}

struct TellsOfItsEnd(&'static Signals);

impl Drop for TellsOfItsEnd {
    fn drop(&mut self) {
        self.0.finish.notify_one();
    }
}

fn floods(signals: &'static Signals) -> Body {
    let piece = |tells| async { Some((Ok::<_, std::io::Error>(Bytes::from_static(&[0; 65_536])), tells)) };
    Body::from_stream(stream::unfold(TellsOfItsEnd(signals), piece))
}

#[allow(clippy::unused_async, reason = "a handler")]
async fn panics() -> &'static str {
    panic!("on purpose")
}

/// An answer with its head in lower case.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub(crate) async fn connect(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the server closes.
pub(crate) async fn to_end(stream: &mut TcpStream) -> Answer {
    let mut raw = Vec::new();
    let read = async {
        let mut piece = vec![0; 64 << 10];
        while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
            raw.extend_from_slice(&piece[..bytes]);
        }
    };
    timeout(PATIENCE, read).await.expect("the connection ends");
    parse(&raw)
}

/// One whole answer of a connection that stays.
pub(crate) async fn one(stream: &mut TcpStream) -> Answer {
    let mut raw = Vec::new();
    let read = async {
        loop {
            assert_ne!(stream.read_buf(&mut raw).await.unwrap(), 0, "closed");
            let answer = parse(&raw);
            let bytes = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
            if bytes.is_some_and(|bytes| answer.body.len() >= bytes) {
                return answer;
            }
        }
    };
    timeout(PATIENCE, read).await.expect("an answer")
}

fn parse(raw: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(raw).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

pub(crate) async fn send(address: SocketAddr, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let host = if headers.contains("host:") { String::new() } else { format!("host: {address}\r\n") };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{host}{headers}\r\n{body}"
    );
    to_end(&mut connect(address, &request).await).await
}
