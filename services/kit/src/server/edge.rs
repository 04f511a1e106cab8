//! What every request passes before its handler and after it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutBody;

use super::HttpConfig;
use super::metrics::HttpMetrics;
use crate::context::{Context, REQUEST_ID};
use crate::{Caller, Code, Problem};

#[derive(Clone)]
pub(super) struct Edge(Arc<Inner>);

struct Inner {
    http: HttpConfig,
    metrics: HttpMetrics,
}

impl Edge {
    pub(super) fn new(http: HttpConfig, metrics: HttpMetrics) -> Self {
        Edge(Arc::new(Inner { http, metrics }))
    }
}

pub(super) fn layered(router: Router, edge: Edge) -> Router {
    router
        .layer(CatchPanicLayer::custom(|_panic: Box<dyn std::any::Any + Send>| {
            // The panic hook has printed what and where.
            Problem::new(Code::Internal, Code::Internal.title()).into_response()
        }))
        .layer(from_fn_with_state(edge, pass))
}

async fn pass(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = Context::from_headers(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    request.extensions_mut().insert(edge.0.http.clone());
    request.extensions_mut().insert(Caller::local());
    let idle = edge.0.http.body_idle_timeout;
    let refused = foreign(&edge.0.http.allowed_hosts, request.uri(), request.headers());
    let request = request.map(|body| Body::new(TimeoutBody::new(idle, body)));

    edge.0.metrics.in_flight.inc();
    let in_flight = InFlight(&edge.0.metrics);
    let request_id = context.request_id.clone();
    let mut response = context
        .scope(async move {
            match refused {
                Some(problem) => problem.into_response(),
                None => next.run(request).await,
            }
        })
        .await;
    drop(in_flight);
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    let route = route.as_deref().unwrap_or("none");
    edge.0.metrics.record(&method, route, status, elapsed);
    tracing::debug!(%method, route, status, request_id = &*request_id, elapsed_us = elapsed.as_micros(), "answered");
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Counts down even where the client left and the future was dropped.
struct InFlight<'a>(&'a HttpMetrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// A page of any site can make a browser send requests to loopback. What gives it away is the
/// Host (after DNS rebinding) or the Origin.
fn foreign(allowed: &[String], uri: &Uri, headers: &HeaderMap) -> Option<Problem> {
    let host = match headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(http::uri::Authority::as_str),
    };
    if let Some(host) = host
        && !is_allowed(allowed, host_name(host))
    {
        return Some(Problem::new(
            Code::PermissionDenied,
            format!("the host {host:?} is not one of this service (allowed_hosts)"),
        ));
    }
    let origin = headers.get(ORIGIN)?.to_str().unwrap_or("null");
    let name = origin.split_once("://").map_or("", |(_, rest)| host_name(rest));
    if is_allowed(allowed, name) {
        return None;
    }
    Some(Problem::new(Code::PermissionDenied, format!("pages of {origin:?} may not call this service (allowed_hosts)")))
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

    fn verdict(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        foreign(&["lake.example".into()], &Uri::from_static("/"), &headers).is_none()
    }

    #[test]
    fn only_our_own_hosts_and_origins_pass() {
        assert!(verdict("localhost:3210", None));
        assert!(verdict("[::1]:3210", Some("http://127.0.0.1:3210")));
        assert!(verdict("LAKE.example", Some("https://lake.example")));
        assert!(!verdict("evil.example", None));
        assert!(!verdict("127.0.0.1.evil.example:3210", None));
        assert!(!verdict("localhost:3210", Some("https://evil.example")));
        assert!(!verdict("localhost:3210", Some("null")));
    }
}
