//! What every request passes before its handler and after it.

use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Request, Uri, Version};
use hyper::body::Incoming;
use prometheus_client::registry::Registry;
use tower::Service;
use tower_http::timeout::TimeoutBody;

use super::metrics::{HttpMetrics, RouteMetrics};
use super::read_to_end::{Ended, Watched};
use super::{Handler, HttpConfig};
use crate::context::{Context, REQUEST_ID};
use crate::{Caller, Code, Health, Problem};

/// Who may come in, and what is counted. Cheap to clone.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    http: HttpConfig,
    health: Health,
    metrics: HttpMetrics,
    local: Caller,
}

/// The limit of one message, for the extractors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageBytesMax(pub(crate) u64);

impl Edge {
    /// Registers the request metrics with `registry`.
    pub fn new(http: &HttpConfig, health: &Health, registry: &mut Registry) -> Self {
        let metrics = HttpMetrics::register(registry);
        Edge(Arc::new(Inner { http: http.clone(), health: health.clone(), metrics, local: Caller::local() }))
    }

    /// The metrics of a route, by its pattern (never by a path: there must be few).
    pub fn route(&self, pattern: &str) -> Arc<RouteMetrics> {
        self.0.metrics.route(pattern)
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.0.local
    }

    /// Whether the request may come in: its Host and Origin are ours, and nothing new is refused
    /// for a drain.
    ///
    /// # Errors
    /// 403 for a foreign Host or Origin; 503 while draining, but for probes.
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        foreign(&self.0.http.allowed_hosts, uri, headers)?;
        if self.0.health.is_draining() && !uri.path().starts_with("/health") && uri.path() != "/metrics" {
            let after = std::time::Duration::from_secs(1);
            return Err(Problem::new(Code::Unavailable, "this service is stopping").with_retry_after(after));
        }
        Ok(())
    }
}

/// Serves a router behind an [`Edge`].
#[derive(Clone)]
pub struct RouterHandler {
    router: Router,
    edge: Edge,
}

impl RouterHandler {
    /// `router` must answer every path: see [`super::with_probes`].
    pub fn new(router: Router, edge: Edge) -> Self {
        // The pattern is known only within, where the route was matched.
        let router = router.layer(axum::middleware::map_response(
            |route: Option<MatchedPath>, mut response: Response| async move {
                if let Some(route) = route {
                    response.extensions_mut().insert(route);
                }
                response
            },
        ));
        RouterHandler { router, edge }
    }

    /// `ended` is set once the request has been read.
    fn admitted(
        &self,
        request: Request<Incoming>,
        ended: &Ended,
    ) -> Result<impl Future<Output = Response> + use<>, Problem> {
        let edge = &self.edge.0;
        self.edge.admit(request.uri(), request.headers())?;
        let idle = edge.http.body_idle_timeout;
        let mut request = request.map(|body| {
            if http_body::Body::is_end_stream(&body) {
                Body::empty()
            } else {
                Body::new(Watched::new(TimeoutBody::new(idle, body), ended.clone()))
            }
        });
        request.extensions_mut().insert(MessageBytesMax(edge.http.message_bytes_max));
        let caller = Caller::stated(request.headers())?.unwrap_or_else(|| edge.local.clone());
        request.extensions_mut().insert(caller);
        let answer = self.router.clone().call(request);
        Ok(async move { answer.await.unwrap_or_else(|never| match never {}) })
    }
}

impl Handler for RouterHandler {
    type Body = Body;

    fn handle(self, request: Request<Incoming>) -> impl Future<Output = Response> + Send + 'static {
        let context = Context::from_headers(request.headers());
        let is_grpc = is_grpc(request.headers());
        let own = move |problem: Problem| if is_grpc { problem.into_grpc() } else { problem.into_response() };
        let request_id = context.request_id.clone();
        let trace_id = context.trace_id().map(str::to_owned);
        let method = request.method().clone();
        let (ended, keeps_open) = (Ended::default(), may_leave_open(&request));
        let unrouted = self.edge.route("none");
        let timed = unrouted.begin();
        let answered = context.scope(async move {
            let answer = match self.admitted(request, &ended) {
                Ok(answer) => answer,
                Err(refused) => return (own(refused), self.edge, ended),
            };
            let response = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_panic| {
                // The panic hook has printed what and where.
                own(Problem::new(Code::Internal, Code::Internal.title()))
            });
            (response, self.edge, ended)
        });
        async move {
            let (mut response, edge, ended) = answered.await;
            let status = response.status();
            let pattern = response.extensions_mut().remove::<MatchedPath>();
            let route = pattern.as_ref().map_or("none", MatchedPath::as_str);
            let elapsed_us = timed.answered_as(&edge.route(route), &method, status).as_micros();
            tracing::debug!(%method, route, status = status.as_u16(), %request_id, trace_id, elapsed_us, "answered");
            if let Ok(id) = HeaderValue::from_str(&request_id) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            if !keeps_open && !ended.has() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }
}

/// Whether a connection stays open though its request is not read: HTTP/2 has streams, and no body is read already.
fn may_leave_open(request: &Request<Incoming>) -> bool {
    request.version() >= Version::HTTP_2 || http_body::Body::is_end_stream(request.body())
}

/// Whether a request is a gRPC call: its client understands a refusal only as a status in trailers.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let rest = value.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
    })
}

/// A page of any site can make a browser send requests to loopback. What gives it away is the
/// Host (after DNS rebinding) or the Origin.
fn foreign(allowed: &[String], uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    // A target in absolute form outranks the header (RFC 9112, 3.2.2); neither may be foreign.
    let stated = headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
    for host in stated.into_iter().chain(uri.authority().map(http::uri::Authority::as_str)) {
        if !is_allowed(allowed, host_name(host)) {
            return Err(Problem::new(
                Code::PermissionDenied,
                format!("the host {host:?} is not one of this service (allowed_hosts)"),
            ));
        }
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("null");
    let name = origin.split_once("://").map_or("", |(_, rest)| host_name(rest));
    if is_allowed(allowed, name) {
        return Ok(());
    }
    Err(Problem::new(Code::PermissionDenied, format!("pages of {origin:?} may not call this service (allowed_hosts)")))
}

/// `example.com:80` → `example.com`, `[::1]:80` → `::1`.
fn host_name(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_allowed(allowed: &[String], name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || allowed.iter().any(|host| host == "*" || host.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(uri: &'static str, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        foreign(&["lake.example".into()], &Uri::from_static(uri), &headers).is_ok()
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        let verdict =
            |text: &'static str| is_grpc(&[(CONTENT_TYPE, HeaderValue::from_static(text))].into_iter().collect());
        assert!(verdict("application/grpc") && verdict("application/grpc+proto"));
        assert!(!verdict("application/grpc-web") && !verdict("application/json"));
    }

    #[test]
    fn only_our_own_hosts_and_origins_pass() {
        assert!(verdict("/", "localhost:3210", None));
        assert!(verdict("/", "[::1]:3210", Some("http://127.0.0.1:3210")));
        assert!(verdict("/", "LAKE.example", Some("https://lake.example")));
        assert!(!verdict("/", "evil.example", None));
        assert!(!verdict("/", "127.0.0.1.evil.example:3210", None));
        assert!(!verdict("/", "localhost:3210", Some("https://evil.example")));
        assert!(!verdict("/", "localhost:3210", Some("null")));
        assert!(!verdict("http://evil.example/", "localhost:3210", None));
    }
}
