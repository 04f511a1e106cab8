//! Text into vectors, never paid for twice.
//!
//! It exists so that every part of the platform, and every program that speaks OpenAI's or Ollama's protocol,
//! gets embeddings from one place which remembers them.
//!
//! Invariants, with the tests that hold them:
//! - The model of a cached vector is the one that the request resolves to, never what an upstream calls itself
//!   (`cache.rs`).
//! - A text is computed once, however many requests ask for it at once, and nobody waits for ever (`flights.rs`).
//! - Answers are in the caller's order; a request is answered whole or not at all (`cache.rs`).
//! - What an upstream answers is checked before anybody sees it or it is kept (`faults.rs`).
//! - No text is logged, and no key of an upstream is shown anywhere (`faults.rs`).
//!
//! Rings: [`http`], [`rpc`] and [`arrow`] speak to the outside; [`embedder`] finds vectors in [`tier1`], among
//! those that [`flights`] knows to be computed, in the port [`shared`], and asks the port [`provider`] for the
//! rest; [`models`] knows the models by name.

#![warn(missing_docs)]

mod arrow;
mod config;
mod embedder;
mod embedding;
mod error;
mod flights;
mod http;
mod models;
mod probe;
mod provider;
mod rpc;
mod shared;
mod start;
mod stats;
mod tier1;
mod warm;

pub use config::{Config, ModelConfig, ProviderKind, RedisConfig, RedisValue, WarmConfig};
pub(crate) use error::Error;
pub use probe::Probe;

use kit::server::{ServeError, Service};
use kit::{Health, Pool};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use http::Desk;
use warm::Warmer;

/// Serves until `shutdown` is cancelled, then drains. Requests wait until the models that lie here are opened; a
/// model that is still being fetched, or cannot be opened, is 503.
///
/// # Errors
/// A configuration that no model can be made of; a listener that fails.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let health = Health::new();
    let mut registry = Registry::default();
    let (stopping, tasks) = (shutdown.child_token(), TaskTracker::new());
    let http = config.http.clone();
    let pool = Pool::new(config.bodies_at_once_max, config.bodies_waiting_max, "long bodies", "bodies_waiting_max");
    let embedder = start::embedder(config, &health, &mut registry, &tasks, &stopping).await?;
    let queryd = kit::grpc::channel(&embedder.config().queryd_url);
    let queryd = queryd.map_err(|error| ServeError::start("queryd_url", error))?;
    let warmer = Warmer::new(embedder.clone(), queryd);
    warm::schedule(&warmer, &embedder);
    let desk = Desk { embedder: embedder.clone(), warmer, pool };
    let router = http::routes(desk.clone()).merge(rpc::routes(&desk));
    let service = Service { name: "embedd", router, openapi: openapi(), health, registry, http };
    let ended = kit::server::run(service, listener, shutdown).await;
    stopping.cancel();
    tasks.close();
    tasks.wait().await;
    warm::save(&embedder).await;
    ended
}

/// What `/openapi.json` answers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}
