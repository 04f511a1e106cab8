//! Vector indexes: items with a string id, a vector and JSON metadata, and the nearest of them.
//!
//! It exists so that text, images or whatever else has an embedding is found by meaning and by metadata at
//! once, from one process, durably.
//!
//! Invariants, with the tests that hold them:
//! - A write that was acknowledged survives `kill -9`; a batch is there whole or not at all (`crash.rs`).
//! - A batch is checked whole before any of it is applied (`items.rs`).
//! - Searches never wait for writers, whatever their filter needs (`memory/tests/waiting.rs`), and never answer
//!   a mixture of an item before and after an update (`concurrency.rs`, `memory/tests/stress.rs`).
//! - Never fewer than `k` results where `k` items match (`filters.rs`, `memory/tests/stress.rs`).
//! - An import that was begun goes on after a restart, over the same version of its dataset (`imports.rs`).
//! - An index that cannot be loaded takes nothing else with it (`restart.rs`).
//!
//! Rings: [`http`], [`rpc`] and [`arrow`] speak to the outside; [`indexes`] knows the indexes by name;
//! [`index`] is one of them, its [`log`] above the port [`store`], which [`memory`] keeps, with the engine
//! from the crate `ann` and [`filter`] over metadata.

#![warn(missing_docs)]

mod arrow;
mod batch;
mod change;
mod config;
mod embedder;
mod error;
mod filter;
mod follow;
mod http;
mod imports;
mod index;
mod indexes;
mod item;
mod log;
mod mark;
mod memory;
mod metrics;
mod model;
mod name;
mod queryd;
mod rpc;
mod settings;
mod source;
mod store;
mod template;

pub use config::Config;
pub(crate) use error::Error;
pub use settings::EngineKind;

use kit::server::{ServeError, Service};
use kit::{Health, Status};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use indexes::Indexes;
use metrics::Metrics;

/// Serves until `shutdown` is cancelled, then drains and takes snapshots. Listens at once; an index
/// answers when it is loaded.
///
/// # Errors
/// A data folder that cannot be used; a listener that fails.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let health = Health::new();
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let stopping = shutdown.child_token();
    let tasks = TaskTracker::new();
    let http = config.http.clone();
    let (indexes, taken) = Indexes::new(config, metrics, health.clone(), stopping.clone(), tasks.clone())
        .map_err(|error| ServeError::start("the URL of a peer", error))?;
    health.set("data folder", Status::Starting, "not looked at yet");
    let lock = indexes.load().await.map_err(|error| ServeError::start("data_dir", error))?;
    health.remove("data folder");
    let service = Service {
        name: "vectord",
        router: http::routes(indexes.clone()).merge(rpc::routes(&indexes)),
        openapi: openapi(),
        health,
        registry,
        http,
    };
    let restoring = tasks.spawn({
        let (indexes, stopping) = (indexes.clone(), stopping.clone());
        let work = async move {
            indexes.restore_missing().await;
            indexes.store_snapshots(taken).await;
        };
        async move { stopping.run_until_cancelled(work).await }
    });
    let ended = kit::server::run(service, listener, shutdown).await;
    stopping.cancel();
    // It may be in the midst of a call to storaged, which is cut off.
    let _stopped = restoring.await;
    tasks.close();
    tasks.wait().await;
    indexes.close().await;
    drop(lock);
    ended
}

/// What `/openapi.json` answers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}
