//! Text into vectors, never paid for twice.
//!
//! It exists so that every part of the platform, and every program that speaks OpenAI's or Ollama's protocol,
//! gets embeddings from one place which remembers them.

#![warn(missing_docs)]

mod config;
mod embedding;
mod provider;
mod shared;

pub use config::{Config, ModelConfig, ProviderKind, RedisConfig, RedisValue};

use kit::Health;
use kit::server::{ServeError, Service};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `shutdown` is cancelled, then drains.
///
/// # Errors
/// A model that cannot be opened; a listener that fails.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let service = Service {
        name: "embedd",
        router: axum::Router::new(),
        openapi: utoipa::openapi::OpenApi::default(),
        health: Health::new(),
        registry: Registry::default(),
        http: config.http,
    };
    kit::server::run(service, listener, shutdown).await
}
