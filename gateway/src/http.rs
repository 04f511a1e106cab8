//! The gateway's own pages: what is well with the platform, what it can do, and where.

mod health;
mod index;
mod openapi;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::config::Config;
use crate::upstream::Upstream;

pub(crate) fn pages(config: &Config, upstreams: &[Arc<Upstream>]) -> Router {
    let upstreams: Arc<[Arc<Upstream>]> = upstreams.into();
    let health = health::Checker::new(upstreams.clone(), config.health_timeout);
    let openapi = openapi::Merged::new(upstreams, config.openapi_ttl, config.health_timeout);
    Router::new()
        .route("/", get(index::page))
        .route("/health", get(health::report).with_state(health))
        .route("/openapi.json", get(openapi::document).with_state(openapi))
}
