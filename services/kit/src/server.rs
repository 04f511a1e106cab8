//! One port that carries REST and gRPC, with what every service owes its operator.
//!
//! A request passes: [`listen()`] (bounded connections, `TCP_NODELAY`) → hyper → [`Edge`]: context,
//! foreign Host and Origin refused, panics caught, metrics → the service's own router. On
//! shutdown readiness fails first, then running requests have `shutdown_grace` to end.

mod connections;
mod edge;
mod linger;
mod listen;
mod metrics;
mod read_to_end;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Health;

pub(crate) use edge::MessageBytesMax;
pub use edge::{Edge, RouterHandler, is_grpc};
pub use listen::{Handler, listen};
pub use metrics::{RouteMetrics, Timed};
pub use routes::with_probes;

/// How a service faces the network: `[<service>.http]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// One JSON body or gRPC message; longer ones are 413.
    pub message_bytes_max: u64,
    /// Connections at once; more wait in the kernel's backlog until one that is idle was closed
    /// for them.
    pub connections_max: usize,
    /// The head of one HTTP/2 request; longer ones are refused. (HTTP/1: 100 headers, 400 KiB.)
    pub header_bytes_max: u32,
    /// From the first byte of a request to the end of its headers.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a connection may be kept without a request. Clients that pool connections must
    /// let go earlier, or try again.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Between two pieces of a request's body; a client that stalls longer is cut off.
    #[serde(with = "humantime_serde")]
    pub body_idle_timeout: Duration,
    /// How long a client may leave its answer unread.
    #[serde(with = "humantime_serde")]
    pub write_idle_timeout: Duration,
    /// Between readiness failing and the drain, in which everything is still served: the time a
    /// balancer needs to notice.
    #[serde(with = "humantime_serde")]
    pub shutdown_delay: Duration,
    /// For running requests, once told to stop.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    /// Host names, besides loopback ones, under which this service may be addressed and from
    /// whose pages browsers may call it. `*` is any.
    pub allowed_hosts: Vec<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            message_bytes_max: 10 << 20,
            connections_max: 1_024,
            header_bytes_max: 32 << 10,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            body_idle_timeout: Duration::from_secs(30),
            write_idle_timeout: Duration::from_secs(300),
            shutdown_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(20),
            allowed_hosts: Vec::new(),
        }
    }
}

impl HttpConfig {
    /// `message_bytes_max` for a tonic server or client: give it to `max_decoding_message_size`
    /// and `max_encoding_message_size`, whose own defaults are 4 MiB and none.
    pub fn grpc_message_bytes_max(&self) -> usize {
        usize::try_from(self.message_bytes_max).unwrap_or(usize::MAX)
    }
}

/// Why a service does not serve, or no longer does.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {listen}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("cannot accept connections")]
    Io(#[source] std::io::Error),
    /// What the service needs at its start was not to be had.
    #[error("cannot start: {reason}")]
    Start {
        /// What was needed.
        reason: String,
        /// Why it was not to be had.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ServeError {
    /// A start that failed.
    pub fn start(reason: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        ServeError::Start { reason: reason.into(), source: source.into() }
    }
}

/// A service, ready to be served.
pub struct Service {
    /// As in metrics and logs: `storaged`.
    pub name: &'static str,
    /// Its REST routes and, merged in, its gRPC services (`tonic::service::Routes`).
    pub router: Router,
    /// What `/openapi.json` answers.
    pub openapi: utoipa::openapi::OpenApi,
    /// What `/health` reports.
    pub health: Health,
    /// What `/metrics` shows, besides the requests, which are counted here.
    pub registry: Registry,
    /// `[<service>.http]`.
    pub http: HttpConfig,
}

/// Serves until `shutdown` is cancelled, then drains: see [`listen()`].
///
/// # Errors
/// None after a drain; a listener that fails for good.
pub async fn run(service: Service, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let Service { name, router, openapi, health, mut registry, http } = service;
    let edge = Edge::new(&http, &health, &mut registry);
    let router = routes::with_own_document(router, &openapi, &health);
    let router = with_probes(router, &health, Arc::new(registry));
    let handler = RouterHandler::new(router, edge);
    listen(name, &http, &health, handler, listener, shutdown).await
}
