//! One port that carries REST and gRPC, with what every service owes its operator.
//!
//! A request passes: accept (bounded connections, `TCP_NODELAY`) → hyper → [`edge`]: context,
//! foreign Host and Origin refused, panics caught, metrics → the service's own router. On
//! shutdown readiness fails first, then running requests have `shutdown_grace` to end.

mod edge;
mod metrics;
mod routes;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Health;

/// How a service faces the network: `[<service>.http]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// One JSON body or gRPC message; longer ones are 413.
    pub message_bytes_max: u64,
    /// Connections at once; more wait in the kernel's backlog.
    pub connections_max: usize,
    /// From the first byte of a request to the end of its headers.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// Between two pieces of a request's body; a client that stalls longer is cut off.
    #[serde(with = "humantime_serde")]
    pub body_idle_timeout: Duration,
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
            header_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(20),
            allowed_hosts: Vec::new(),
        }
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

/// Serves until `shutdown` is cancelled, then drains.
///
/// # Errors
/// None after a drain; a listener that fails for good.
pub async fn run(service: Service, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let Service { name, router, openapi, health, mut registry, http } = service;
    let metrics = metrics::HttpMetrics::register(&mut registry);
    let router = routes::with_standard(router, openapi, health.clone(), Arc::new(registry));
    let router = edge::layered(router, edge::Edge::new(http.clone(), metrics));

    let connections = Arc::new(Semaphore::new(http.connections_max));
    let tracker = TaskTracker::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(http.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .max_concurrent_streams(1_024);

    if let Ok(address) = listener.local_addr() {
        tracing::info!(service = name, %address, "serving");
    }
    while let Some((stream, permit)) = accept(&listener, &connections, &shutdown).await? {
        let connection = serve_connection(stream, permit, builder.clone(), router.clone(), shutdown.clone());
        tracker.spawn(connection);
    }
    health.stop();
    tracker.close();
    if tokio::time::timeout(http.shutdown_grace, tracker.wait()).await.is_err() {
        tracing::warn!(service = name, connections = tracker.len(), "drain ended with requests still running");
    }
    tracing::info!(service = name, "stopped");
    Ok(())
}

/// The next connection with its permit; `None` once told to stop.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Result<Option<(TcpStream, OwnedSemaphorePermit)>, ServeError> {
    let next = async {
        // Never closed.
        let permit = connections.clone().acquire_owned().await.map_err(|e| ServeError::Io(std::io::Error::other(e)))?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Ok((stream, permit)),
                // Out of file descriptors or a connection gone before it was taken: it passes.
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(None),
        accepted = next => accepted.map(Some),
    }
}

async fn serve_connection(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    shutdown: CancellationToken,
) {
    let _permit = permit;
    let _not_vital = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
