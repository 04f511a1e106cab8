//! ingestd: files in, registered Parquet datasets out.
//!
//! A body (CSV, NDJSON, a JSON array, Parquet, Arrow IPC; compressed or not; raw or multipart) is
//! spooled to disk, parsed by DuckDB in an instance that can read that one file and nothing else,
//! encoded as Parquet with field ids and page indexes, streamed to storaged, and committed to
//! catalogd as a version. Parsing, encoding and storing overlap.
//!
//! Invariants:
//! - whatever fails before the commit leaves no dataset, no version and no object behind (an
//!   object that storaged does not delete is left to catalogd's collection of orphans);
//! - memory does not grow with the length of a file;
//! - the Parquet written has exactly the types that catalogd reads from it (see [`mod@column`] for
//!   what becomes of the types that Parquet has not).
//!
//! A file name never reaches DuckDB: spooled files have names of ours.

#![warn(missing_docs)]

mod catalog;
mod column;
mod config;
mod encode;
mod error;
mod field;
mod format;
mod http;
mod ingest;
mod metrics;
mod objects;
mod reject;
mod request;
mod session;
mod source;
mod spool;

use std::sync::Arc;

use kit::Health;
use kit::server::{ServeError, Service};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use http::openapi;

use crate::catalog::Catalog;
use crate::ingest::Ingests;
use crate::metrics::Metrics;
use crate::objects::Storage;
use crate::spool::Spool;

/// Serves until `shutdown` is cancelled, then drains.
///
/// # Errors
/// A spool that cannot be opened, a peer URL that is none, a listener that fails.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let (folder, bytes_max) = (config.spool_dir.clone(), config.spool_bytes_max);
    let gauge = metrics.spooled_bytes.clone();
    let spool = tokio::task::spawn_blocking(move || Spool::open(&folder, bytes_max, gauge))
        .await
        .map_err(|error| ServeError::start("the spool", error))?
        .map_err(|error| ServeError::start("the spool (spool_dir)", error))?;
    let channel = |url| kit::grpc::channel(url).map_err(|error| ServeError::start("a channel to a peer", error));
    let catalog = Catalog::new(channel(&config.catalogd_url)?, config.peer_timeout);
    let storage = Storage::new(channel(&config.storaged_url)?, config.peer_timeout);
    let http = config.http.clone();
    let ingests = Arc::new(Ingests::new(config, spool, metrics, catalog, storage));
    let service = Service {
        name: "ingestd",
        router: http::router(ingests),
        openapi: openapi(),
        health: Health::new(),
        registry,
        http,
    };
    kit::server::run(service, listener, shutdown).await
}
