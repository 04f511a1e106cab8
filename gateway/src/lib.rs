//! The one public address of the platform: a streaming reverse proxy over its services.
//!
//! A request passes: `kit`'s listener → [`handler`]: which service → [`proxy`] (REST over
//! HTTP/1.1) or [`grpc`] (HTTP/2) → the service; its answer goes back the same way. What is not
//! a service's is a page of the gateway's own: [`http`].
//!
//! Invariant: a body is never held or changed here, in either direction: pieces are passed on as
//! they come, as fast as the slower side takes them.
//! Invariant: the path that was checked is the path that is sent, byte for byte.
//! Invariant: `lakehouse.internal` is out of reach.
//! Invariant: a client that leaves takes its request to the service with it, at once.

#![warn(missing_docs)]

mod config;
mod error;
mod grpc;
mod handler;
mod headers;
mod http;
mod proxy;
mod request_body;
mod response_body;
mod routes;
mod upstream;
mod wire;

use std::sync::Arc;

use kit::Health;
use kit::server::{Edge, RouterHandler, ServeError};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;

use crate::handler::Gateway;
use crate::routes::Service;
use crate::upstream::Upstream;

/// Serves until told to stop. Starts whether or not its services run: what needs one that does
/// not is answered 502.
///
/// # Errors
/// A listener that fails.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let health = Health::new();
    let mut registry = Registry::default();
    let edge = Edge::new(&config.http, &health, &mut registry);
    let upstreams: Vec<Arc<Upstream>> =
        Service::ALL.into_iter().filter_map(|service| Upstream::new(service, &config)).collect();
    let pages = http::pages(&config, &upstreams);
    let pages = kit::server::with_probes(pages, &health, Arc::new(registry));
    let gateway = Gateway::new(&config, &upstreams, edge.clone(), RouterHandler::new(pages, edge));

    let ended = shutdown.child_token();
    let _forgets = ended.clone().drop_guard();
    tokio::spawn(forget_old_connections(upstreams, config.upstream_idle_timeout, ended));
    kit::server::listen("gateway", &config.http, &health, gateway, listener, shutdown).await
}

async fn forget_old_connections(
    upstreams: Vec<Arc<Upstream>>,
    idle_timeout: std::time::Duration,
    ended: CancellationToken,
) {
    let mut ticks = tokio::time::interval(idle_timeout.max(std::time::Duration::from_millis(100)));
    while ended.run_until_cancelled(ticks.tick()).await.is_some() {
        upstreams.iter().for_each(|upstream| upstream.forget_old());
    }
}
