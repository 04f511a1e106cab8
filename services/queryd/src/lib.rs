//! SQL over the registered datasets.
//!
//! A statement goes through three things: the **gate** reads its syntax tree and says what it reads,
//! or refuses it; the **snapshot** asks catalogd what of that stands now and storaged where it lies;
//! the **engine**, a locked DuckDB behind the port [`engine::SqlEngine`], sees exactly that as views
//! of its own connection and answers in Arrow batches, which leave as JSON, NDJSON, CSV, Arrow or
//! Parquet while they are computed.
//!
//! What a statement searches or embeds by meaning is asked of vectord and embedd, for the statement's caller and
//! within its time.
//!
//! Invariant: user SQL reads, and reads only datasets: one statement, by DuckDB's own parser, every
//! table and function in it known, on an engine that can open nothing but the datasets' folder.
//! Invariant: what a statement names is checked against catalogd when it arrives (read your writes),
//! and it reads one snapshot of all of it.
//! Invariant: nothing is answered from a cache of results. Verdicts and plans are kept, rows are not.
//! Invariant: an answer that broke off can be told from a whole one, in every format.

#![warn(missing_docs)]

pub mod catalog;
mod config;
pub mod duckdb;
mod encode;
pub mod engine;
mod error;
mod executor;
pub mod gate;
mod http;
pub mod meaning;
mod metrics;
mod rpc;
mod s3_keys;
mod service;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kit::server::ServeError;
use kit::{Health, Status};
use prometheus_client::registry::Registry;
use proto::v1::catalog_client::CatalogClient;
use proto::v1::query_server::QueryServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Follower, Known, Locations, Resolver, Snapshots};
use crate::executor::{Executor, ExecutorLimits};
use crate::gate::Gate;
use crate::meaning::{Meaning, Texts};
use crate::metrics::Metrics;
use crate::s3_keys::Keys;
use crate::service::{Parts, Service};
pub use config::{Config, S3Config};
pub use error::Error;
pub use http::openapi;

const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is cancelled, then drains.
///
/// # Errors
/// A peer's URL that is none, a DuckDB that cannot be opened, a temp folder that cannot be made.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let health = Health::new();
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let catalogd = kit::grpc::channel(&config.catalogd_url).map_err(|e| ServeError::start("catalogd_url", e))?;
    let storaged = kit::grpc::channel(&config.storaged_url).map_err(|e| ServeError::start("storaged_url", e))?;
    let vectord = kit::grpc::channel(&config.vectord_url).map_err(|e| ServeError::start("vectord_url", e))?;
    let embedd = kit::grpc::channel(&config.embedd_url).map_err(|e| ServeError::start("embedd_url", e))?;
    let (temp_dir, cache_bytes) = (config.temp_dir.clone(), config.gate_cache_bytes);
    let opening = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&temp_dir).map_err(|e| ServeError::start("temp_dir", e))?;
        Gate::new(cache_bytes).map_err(|e| ServeError::start("the gate", e))
    });
    let gate = opening.await.map_err(|e| ServeError::start("the gate", e))??;

    let bytes_max = config.peer_message_bytes_max;
    let known = Known::new(health.clone(), metrics.clone());
    let resolver = Resolver::start(catalogd.clone(), bytes_max, config.resolve_timeout);
    let locations = Locations::new(storaged, bytes_max);
    let follower = Follower {
        client: CatalogClient::new(catalogd).max_decoding_message_size(bytes_max),
        resolver: resolver.clone(),
        known: known.clone(),
        health: health.clone(),
        refresh_every: config.refresh_every,
    };
    // Before a request can ask: what is spawned may begin later.
    health.set("catalog", Status::Starting, "asking catalogd what there is");
    health.set("engine", Status::Starting, "asking storaged where the datasets lie");
    tokio::spawn(follower.run(shutdown.clone()));
    let meaning = Meaning::new(vectord, embedd, bytes_max, config.searches_max);
    let embedder = Arc::new(Texts::new(meaning.clone(), config.embed_batch_texts));
    let service = Service::new(Parts {
        gate,
        meaning,
        snapshots: Snapshots::new(known, resolver, locations.clone()),
        executor: OnceLock::new(),
        timeout_default: config.timeout_default,
        timeout_max: config.timeout_max,
        list_limit_max: config.list_limit_max,
    });
    let opening = open_engine(config.clone(), locations, embedder, service.clone(), health.clone(), metrics);
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(opening));

    let message_bytes_max = usize::try_from(config.http.message_bytes_max).unwrap_or(usize::MAX);
    let query = QueryServer::new(rpc::Rpc(service.clone())).max_decoding_message_size(message_bytes_max);
    let grpc = tonic::service::Routes::new(query).into_axum_router();
    let router = http::router(service).merge(grpc);
    let service =
        kit::server::Service { name: "queryd", router, openapi: openapi(), health, registry, http: config.http };
    kit::server::run(service, listener, shutdown).await
}

/// Opens the engine once storaged has said where the datasets lie; until then statements are 503. Then keeps it in
/// keys for S3, where the configuration has none.
async fn open_engine(
    config: Config,
    locations: Locations,
    embedder: Arc<Texts>,
    service: Service,
    health: Health,
    metrics: Metrics,
) {
    let root = loop {
        match locations.root().await {
            Ok(root) => break root,
            Err(error) => {
                tracing::debug!(%error, "storaged cannot be asked");
                tokio::time::sleep(OPEN_AGAIN_AFTER).await;
            }
        }
    };
    let limits = ExecutorLimits {
        concurrent_max: config.concurrency(),
        queue_max: config.queue_max,
        queue_timeout: config.queue_timeout,
        piece_bytes: config.piece_bytes,
        pieces_max: config.pieces_max,
    };
    let mut settings = config.engine(root);
    let keys = if settings.lacks_keys() { Keys::find(&mut settings.s3, health.clone()).await } else { None };
    let idle_max = limits.concurrent_max;
    let opened = tokio::task::spawn_blocking(move || duckdb::DuckDb::open(&settings, idle_max, embedder)).await;
    match opened {
        Ok(Ok(engine)) => {
            let engine = Arc::new(engine);
            service.ready(Executor::new(engine.clone(), limits, metrics));
            health.set("engine", Status::Ok, duck::library_version());
            if let Some(keys) = keys {
                keys.renew(engine).await;
            }
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the engine cannot be opened");
            health.set("engine", Status::Failed, "the engine cannot be opened: the log says why");
        }
        Err(_) => health.set("engine", Status::Failed, "the engine panicked while it was opened"),
    }
}
