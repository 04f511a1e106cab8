//! REST.

mod body;
mod parameters;
mod post;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use utoipa::OpenApi;

use crate::ingest::Ingests;

#[derive(OpenApi)]
#[openapi(paths(post::post), components(schemas(wire::Ingested, wire::Column, wire::SkippedRow)))]
struct Api;

/// What `/openapi.json` answers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub(crate) fn router(ingests: Arc<Ingests>) -> Router {
    Router::new()
        .route("/v1/ingest/{name}", post(post::post))
        // Bodies have limits of their own: see [`body`].
        .layer(DefaultBodyLimit::disable())
        .with_state(ingests)
}
