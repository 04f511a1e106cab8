//! `/health`, `/metrics` and `/openapi.json`: the same on every service.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use prometheus_client::registry::Registry;

use crate::{Code, Health, Problem, Status};

const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// With `/health` and `/openapi.json` of this service alone.
pub(super) fn with_own_document(router: Router, openapi: &utoipa::openapi::OpenApi, health: &Health) -> Router {
    let document: Arc<str> = openapi.to_json().unwrap_or_default().into();
    let health = health.clone();
    router
        .route("/health", get(move || async move { report(&health) }))
        .route("/openapi.json", get(move || async move { json(document.to_string()) }))
}

/// Adds what an operator's tools ask of everything that runs (`/health/liveness`,
/// `/health/readiness`, `/metrics`) and problems for what is not there.
pub fn with_probes(router: Router, health: &Health, registry: Arc<Registry>) -> Router {
    let readiness = health.clone();
    router
        .route("/health/liveness", get(|| async { json("{\"status\":\"ok\"}") }))
        .route("/health/readiness", get(move || async move { ready(&readiness) }))
        .route("/metrics", get(move || async move { exposition(&registry) }))
        .fallback(
            |uri: http::Uri| async move { Problem::new(Code::NotFound, format!("there is no route {}", uri.path())) },
        )
        .method_not_allowed_fallback(|method: http::Method, uri: http::Uri| async move {
            Problem::new(Code::MethodNotAllowed, format!("{} does not take {method}", uri.path()))
        })
}

fn report(health: &Health) -> Response {
    let report = health.report();
    let status = if report.status <= Status::Degraded { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

fn ready(health: &Health) -> Response {
    if health.is_ready() {
        json("{\"status\":\"ok\"}")
    } else {
        Problem::new(Code::Unavailable, "not ready: /health says why").into_response()
    }
}

fn exposition(registry: &Registry) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, registry) {
        Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => Problem::new(Code::Internal, "the metrics cannot be written").with_source(error).into_response(),
    }
}

fn json(text: impl Into<axum::body::Body>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.into()).into_response()
}
