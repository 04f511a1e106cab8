//! Accepting connections, serving them, and the drain at the end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::{Connection, Connections, InFlight, Order, SWEEP_EVERY, Watched};
use super::linger::linger;
use super::{HttpConfig, ServeError};
use crate::Health;

const HEADERS_MAX: usize = 100;
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Of one HTTP/2 connection.
const STREAMS_MAX: u32 = 1_024;
/// A client that resets streams faster than they are accepted (CVE-2023-44487) loses its
/// connection at this many.
const PENDING_RESETS_MAX: usize = 64;
const PING_EVERY: Duration = Duration::from_secs(30);
/// For cut connections to be gone.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What answers requests: a service's edge and router, or the gateway's proxy.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Of its responses.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + Send + 'static;

    /// The handler of one connection, by a client at `peer`; cloned for each of its requests.
    #[must_use]
    fn for_peer(&self, peer: SocketAddr) -> Self {
        let _not_needed = peer;
        self.clone()
    }

    /// Answers one request. Dropped where the client leaves.
    fn handle(self, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>> + Send + 'static;
}

/// Serves connections with `handler` until `shutdown` is cancelled; then readiness fails, after
/// `shutdown_delay` connections are told to close after what is running, and after
/// `shutdown_grace` those that are left are cut. New connections are taken to the end, one
/// request each, so that probes are answered.
///
/// # Errors
/// A listener that fails for good.
pub async fn listen<H: Handler>(
    name: &'static str,
    http: &HttpConfig,
    health: &Health,
    handler: H,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(service = name, %address, "serving");
    }
    let mut acceptor = Acceptor::new(http, handler, listener);
    acceptor.until(shutdown.cancelled()).await?;
    health.stop();
    acceptor.until(tokio::time::sleep(http.shutdown_delay)).await?;

    health.drain();
    let running = std::mem::take(&mut acceptor.tracker);
    running.close();
    acceptor.builder = protocols(http, false);
    acceptor.connections.give_all(Order::Finish);
    let deadline = Instant::now() + http.shutdown_grace;
    let drained = async { tokio::time::timeout_at(deadline, running.wait()).await.is_ok() };
    if !acceptor.until(drained).await? {
        tracing::warn!(service = name, connections = running.len(), "drain ended with requests still running");
    }
    acceptor.connections.give_all(Order::Abort);
    let _a_blocked_worker = tokio::time::timeout(ABORT_TIMEOUT, running.wait()).await;
    tracing::info!(service = name, "stopped");
    Ok(())
}

fn protocols(http: &HttpConfig, keep_alive: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Heads are timed by the sweep: see `connections`.
    builder.http1().keep_alive(keep_alive).header_read_timeout(None).max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_header_list_size(http.header_bytes_max)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

struct Acceptor<H> {
    http: HttpConfig,
    handler: H,
    listener: TcpListener,
    builder: auto::Builder<TokioExecutor>,
    permits: Arc<Semaphore>,
    connections: Arc<Connections>,
    tracker: TaskTracker,
}

impl<H: Handler> Acceptor<H> {
    fn new(http: &HttpConfig, handler: H, listener: TcpListener) -> Self {
        Acceptor {
            http: http.clone(),
            handler,
            listener,
            builder: protocols(http, true),
            permits: Arc::new(Semaphore::new(http.connections_max)),
            connections: Arc::new(Connections::new()),
            tracker: TaskTracker::new(),
        }
    }

    /// Accepts and sweeps until `end` has come.
    async fn until<T>(&self, end: impl Future<Output = T>) -> Result<T, ServeError> {
        let mut end = pin!(end);
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                ended = &mut end => return Ok(ended),
                _ = ticks.tick() => self.connections.sweep(&self.http),
                accepted = self.accept() => {
                    let (stream, peer, permit) = accepted?;
                    self.spawn(stream, peer, permit);
                }
            }
        }
    }

    /// The next connection with its permit. Safe to drop: nothing is accepted without a permit.
    async fn accept(&self) -> Result<(TcpStream, SocketAddr, OwnedSemaphorePermit), ServeError> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_none_left) => {
                self.connections.evict_idle();
                // Never closed.
                self.permits.clone().acquire_owned().await.map_err(|e| ServeError::Io(std::io::Error::other(e)))?
            }
        };
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => return Ok((stream, peer, permit)),
                // Out of file descriptors or a connection gone before it was taken: it passes.
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let connection = self.connections.add();
        let served = serve(self.builder.clone(), self.handler.for_peer(peer), connection, stream);
        self.tracker.spawn(async move {
            let _permit = permit;
            served.await;
        });
    }
}

async fn serve<H: Handler>(
    builder: auto::Builder<TokioExecutor>,
    handler: H,
    connection: Arc<Connection>,
    stream: TcpStream,
) {
    let _not_vital = stream.set_nodelay(true);
    let watched = Watched::new(stream, connection.clone());
    let answering = connection.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let in_flight = answering.begin(request.version());
        let answer = handler.clone().handle(request);
        async move { Ok::<_, Infallible>(answer.await.map(|body| Counted { body, _in_flight: in_flight })) }
    });
    let ended = {
        let mut serving = pin!(builder.serve_connection(TokioIo::new(watched), service));
        let mut heard = Order::Stay;
        let ended = std::future::poll_fn(|cx| {
            if heard == Order::Stay {
                connection.listen(cx);
            }
            let order = connection.order();
            if order == Order::Abort {
                return Poll::Ready(Ok(()));
            }
            if order > heard {
                heard = order;
                serving.as_mut().graceful_shutdown();
            }
            serving.as_mut().poll(cx)
        });
        ended.await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
    if let Some(socket) = connection.take_unread() {
        linger(socket).await;
    }
}

/// A response's body that keeps its connection busy until it has left.
struct Counted<B> {
    body: B,
    _in_flight: InFlight,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
