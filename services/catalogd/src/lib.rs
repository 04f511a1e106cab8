//! Datasets: what each is called, which versions it has, which Parquet objects each is made of.
//!
//! A version is a manifest, a Parquet file `_catalog/manifests/{name}/{version:020}.parquet` that
//! is created once and never changed. Everything that lasts lies in storage, behind storaged;
//! this process only remembers it. It exists so that ingest has one place to make objects part of
//! a dataset at once, and queries one place to ask what a name means now.
//!
//! Invariants, with the tests that hold them:
//! - A version is created with a conditional put, so of two writers one wins and the other builds
//!   on it: none is lost, none doubled (`concurrency.rs`).
//! - A manifest is persisted before a reader sees it, and is seen whole (`concurrency.rs`).
//! - A manifest that cannot be read takes nothing else with it. Its dataset is read at the last
//!   version that can be, and refuses writes with 503: nothing is built on what is not known
//!   (`poison.rs`).
//! - Who a dataset is follows from its name alone; what it was is never renumbered: versions and
//!   field ids go on after a delete (`register.rs`).
//! - The same request id is answered the same, a restart later too (`register.rs`).
//!
//! Rings: [`http`] and [`rpc`] speak to the outside; `manifest`, `schema`, `name`, `column_type`
//! and `footer` are values and rules without I/O; [`catalog`] puts them to work on [`storage`].

#![warn(missing_docs)]

mod catalog;
mod column_type;
mod config;
mod error;
mod footer;
mod http;
mod manifest;
mod name;
mod rpc;
mod schema;
mod storage;

pub use config::Config;
pub(crate) use error::Error;

use kit::Health;
use kit::server::{ServeError, Service};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use catalog::{Catalog, Metrics};
use storage::Storage;

/// Serves until `shutdown` is cancelled, then drains. Listens at once; answers when everything is
/// loaded.
///
/// # Errors
/// Storage that is not there within `start_timeout`; a listener that fails.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let storage = Storage::connect(&config.storaged_url, config.storage_timeout, config.storage_writes_max)
        .map_err(|error| ServeError::start("storaged_url", error))?;
    let health = Health::new();
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    // Watches and background work end with the service, also where its start fails.
    let stopping = shutdown.child_token();
    let catalog = Catalog::new(config.clone(), storage, metrics, health.clone(), stopping.clone());
    let service = Service {
        name: "catalogd",
        router: http::routes(catalog.clone()).merge(rpc::routes(&catalog)),
        openapi: openapi(),
        health,
        registry,
        http: config.http,
    };
    catalog.not_ready();
    let background = TaskTracker::new();
    let starting = background.spawn(work(catalog, background.clone(), stopping.clone()));
    let running = kit::server::run(service, listener, stopping.clone());
    let ended = tokio::select! {
        ended = running => ended,
        failed = failure(starting) => Err(failed),
    };
    stopping.cancel();
    background.close();
    background.wait().await;
    ended
}

/// What `/openapi.json` answers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}

async fn work(catalog: Catalog, background: TaskTracker, stopping: CancellationToken) -> Result<(), Error> {
    match stopping.run_until_cancelled(catalog.start()).await {
        Some(started) => started?,
        None => return Ok(()),
    }
    let collector = catalog.clone();
    background.spawn(async move { collector.collect_garbage().await });
    catalog.keep_fresh().await;
    Ok(())
}

/// Waits for a start that failed; for ever where it did not.
async fn failure(starting: tokio::task::JoinHandle<Result<(), Error>>) -> ServeError {
    match starting.await {
        Ok(Ok(())) => std::future::pending().await,
        Ok(Err(error)) => ServeError::start("storage cannot be read", error),
        Err(panicked) => ServeError::start("loading broke off", panicked),
    }
}
