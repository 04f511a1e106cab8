//! REST: the platform's own routes, OpenAI's and Ollama's.

mod answer;
mod body;
mod embed;
mod inputs;
mod models;
mod negotiate;
mod ollama;
mod openai;
mod stats;
mod tokenize;
mod warm;
mod wire;

use axum::Router;
use axum::routing::{get, post};
use kit::Pool;
use utoipa::OpenApi;

use crate::embedder::Embedder;
use crate::warm::Warmer;

pub(crate) use stats::document as stats_document;

#[derive(OpenApi)]
#[openapi(
    info(title = "embedd", description = "Text into vectors: several models, cached in memory and in Redis."),
    paths(
        embed::embed,
        openai::embeddings,
        openai::models,
        openai::model,
        ollama::embed,
        stats::stats,
        models::models,
        tokenize::tokenize,
        warm::begin,
        warm::list,
        warm::get,
    )
)]
struct Api;

/// What `/openapi.json` answers.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) embedder: Embedder,
    pub(crate) warmer: Warmer,
    /// Where long bodies are read and long answers written.
    pub(crate) pool: Pool,
}

pub(crate) fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/v1/embed", post(embed::embed))
        .route("/v1/embed/stats", get(stats::stats))
        .route("/v1/embed/models", get(models::models))
        .route("/v1/embed/warm", get(warm::list).post(warm::begin))
        .route("/v1/embed/warm/{id}", get(warm::get))
        .route("/v1/embed/tokenize", post(tokenize::tokenize))
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{model}", get(openai::model))
        .route("/api/embed", post(ollama::embed))
        .with_state(desk)
}
