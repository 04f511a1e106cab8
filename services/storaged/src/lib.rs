//! storaged: objects, in a directory or in S3.
//!
//! Everything durable on the platform is an object: the users' files, the Parquet of datasets,
//! the manifests of the catalog. This service is the only one that knows what keeps them.
//!
//! A request comes in over REST ([`http`], the key space of users) or gRPC ([`rpc`], the same and
//! the whole bucket for services), meets the limits of its kind of caller in [`space`], and ends
//! in one of two adapters of the port [`store::ObjectStore`]: [`local`] or [`s3`].
//!
//! Invariant: an acknowledged write is durable, and no reader ever sees a part of one.
//! Invariant: no object is ever whole in memory, unless it is short.
//! Invariant: outside callers reach nothing but keys below `user/`, and cannot use up the
//! permits of services.

#![warn(missing_docs)]

mod config;
mod content_type;
mod cursor;
mod error;
mod etag;
mod http;
mod key;
mod local;
mod metrics;
mod range;
mod rpc;
mod s3;
mod space;
mod store;

use std::sync::Arc;
use std::time::Duration;

use kit::server::{self, ServeError};
use kit::{Health, Status};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Backend, Config, S3Config};
pub use http::openapi;

use error::Error;
use store::ObjectStore;

/// The service's name: in metrics, logs and the configuration.
pub const NAME: &str = "storaged";

/// Opens the backend, then serves until `shutdown` is cancelled.
///
/// # Errors
/// A directory that cannot be used or that another storaged uses, an S3 that does not answer or
/// has no such bucket, a listener that fails.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let mut registry = Registry::default();
    let metrics = metrics::Metrics::register(&mut registry);
    let health = Health::new();
    let store: Arc<dyn ObjectStore> = match config.backend {
        Backend::Local => Arc::new(local::Local::open(&config).await?),
        Backend::S3 => Arc::new(s3::S3::open(&config.s3).await?),
    };
    report(store.as_ref(), &health).await;
    let watch = tokio::spawn(watch(store.clone(), health.clone(), config.health_every));

    let user = Arc::new(space::Space::user(store.clone(), metrics.clone(), &config));
    let whole = Arc::new(space::Space::whole(store, metrics, &config));
    let grpc = rpc::routes(user.clone(), whole, config.http.message_bytes_max);
    let router = http::router(user).merge(grpc.into_axum_router());
    let service =
        server::Service { name: NAME, router, openapi: openapi(), health, registry, http: config.http.clone() };
    let served = server::run(service, listener, shutdown).await;
    watch.abort();
    // It holds the directory, which may be another's as soon as this returns.
    let _aborted = watch.await;
    served
}

/// Reports how the backend is, again and again.
async fn watch(store: Arc<dyn ObjectStore>, health: Health, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        report(store.as_ref(), &health).await;
    }
}

async fn report(store: &dyn ObjectStore, health: &Health) {
    match store.check().await {
        Ok(words) => health.set("backend", Status::Ok, words),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the backend is not well");
            health.set("backend", Status::Failed, kit::ServiceError::public_detail(&error));
        }
    }
    let (status, words) = match store.conditional_puts() {
        true => (Status::Ok, "honoured by the backend"),
        false => (Status::Degraded, "imitated here: run one storaged, one catalogd and one ingestd"),
    };
    health.set("conditional_puts", status, words);
}
