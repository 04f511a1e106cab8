//! A service with routes for what can happen behind a gateway, and the gateway before it.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, put};
use futures::{StreamExt, stream};
use gateway::Config;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, TRAILER};
use http_body_util::StreamBody;
use hyper::body::Frame;
use kit::server::{HttpConfig, Service};
use kit::testing::TestServer;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;

use crate::wire::PATIENCE;

/// What happened to a request inside the service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Started,
    Dropped,
}

pub(crate) type Events = mpsc::UnboundedSender<Event>;

pub(crate) struct TellsOfItsEnd(pub(crate) Events);

impl Drop for TellsOfItsEnd {
    fn drop(&mut self) {
        let _test_is_over = self.0.send(Event::Dropped);
    }
}

async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.map(|body| body.len());
    let headers = head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")));
    let headers: Vec<String> = headers.collect();
    axum::Json(json!({
        "method": head.method.as_str(), "target": head.uri.to_string(), "headers": headers, "bytes": bytes.ok(),
    }))
    .into_response()
}

async fn never(State(events): State<Events>) {
    let _tells = TellsOfItsEnd(events.clone());
    events.send(Event::Started).unwrap();
    std::future::pending().await
}

async fn endless(State(events): State<Events>) -> Body {
    let tells = TellsOfItsEnd(events.clone());
    events.send(Event::Started).unwrap();
    Body::from_stream(stream::unfold(tells, |tells| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024])), tells))
    }))
}

async fn breaks() -> Body {
    let first = stream::iter([Ok(Bytes::from_static(b"the first piece"))]);
    // Not at once, so that the first piece has left by then.
    let lost = stream::once(async {
        tokio::task::yield_now().await;
        Err(std::io::Error::other("lost"))
    });
    Body::from_stream(first.chain(lost))
}

/// Says at its end, in a trailer, that it was reached.
async fn trails() -> Response {
    let end = http::HeaderMap::from_iter([(HeaderName::from_static("x-end"), HeaderValue::from_static("reached"))]);
    let frames = [Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"all"))), Ok(Frame::trailers(end))];
    ([(TRAILER, "x-end")], Body::new(StreamBody::new(stream::iter(frames)))).into_response()
}

/// A service, its events, and the gateway that passes everything to it.
pub(crate) struct Platform {
    pub(crate) gateway: TestServer,
    pub(crate) service: TestServer,
    events: mpsc::UnboundedReceiver<Event>,
}

pub(crate) async fn service(events: Events, grpc: Router) -> TestServer {
    let router = Router::new()
        .route("/v1/storage/echo/{*rest}", any(echo))
        .route("/v1/ingest/echo", any(echo))
        .route("/v1/sql", any(echo))
        .route("/v1/storage/never", any(never))
        .route("/v1/storage/endless", get(endless))
        .route("/v1/storage/breaks", get(breaks))
        .route("/v1/storage/trails", get(trails))
        .route("/v1/storage/refuses", put(|| async { StatusCode::PAYLOAD_TOO_LARGE }))
        .with_state(events)
        .merge(grpc);
    TestServer::start(|listener, shutdown| {
        let service = Service {
            name: "test",
            router,
            openapi: utoipa::openapi::OpenApi::default(),
            health: kit::Health::new(),
            registry: prometheus_client::registry::Registry::default(),
            http: HttpConfig { shutdown_grace: Duration::from_millis(100), ..HttpConfig::default() },
        };
        kit::server::run(service, listener, shutdown)
    })
    .await
}

/// An address that refuses connections.
pub(crate) async fn nobody() -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    format!("http://{address}").parse().unwrap()
}

pub(crate) async fn gateway(service: &Url, change: impl FnOnce(&mut Config)) -> TestServer {
    let mut config = Config {
        storaged_url: service.clone(),
        catalogd_url: service.clone(),
        ingestd_url: service.clone(),
        queryd_url: service.clone(),
        vectord_url: service.clone(),
        embedd_url: service.clone(),
        ..Config::default()
    };
    config.http.shutdown_grace = Duration::from_millis(100);
    change(&mut config);
    TestServer::start(|listener, shutdown| gateway::serve(config, listener, shutdown)).await
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, Router::new()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config), grpc: Router) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let service = service(sender, grpc).await;
        let gateway = gateway(&service.url(), change).await;
        Platform { gateway, service, events }
    }

    pub(crate) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").expect("a running service")
    }
}
