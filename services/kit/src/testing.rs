//! Starting a real service on a free port, for tests.

mod held;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::server::ServeError;

pub use held::Held;
use held::Record;

const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A service that runs in this process until it is stopped or dropped.
pub struct TestServer {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: Option<JoinHandle<Result<(), ServeError>>>,
    record: Option<Record>,
}

impl TestServer {
    /// Binds a free loopback port, then spawns what `serve` makes of it. Requests may be sent at
    /// once: they wait in the backlog.
    ///
    /// # Panics
    /// Where no port can be bound.
    #[allow(clippy::expect_used, reason = "a test that cannot start has nothing better to do")]
    pub async fn start<S, F>(serve: S) -> Self
    where
        S: FnOnce(TcpListener, CancellationToken) -> F,
        F: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, shutdown.clone()));
        TestServer { address, shutdown, task: Some(task), record: None }
    }

    /// The same on a runtime with one worker, of which [`TestServer::held`] tells how tasks held it.
    ///
    /// # Panics
    /// Where no port can be bound.
    #[allow(clippy::expect_used, reason = "a test that cannot start has nothing better to do")]
    pub async fn watched<S, F>(serve: S) -> Self
    where
        S: FnOnce(TcpListener, CancellationToken) -> F + Send + 'static,
        F: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (shutdown, record) = (CancellationToken::new(), Record::default());
        let (stopping, watching) = (shutdown.clone(), record.clone().watch());
        let task = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let watch = tokio::spawn(watching);
                let served = serve(TcpListener::from_std(listener).map_err(ServeError::Io)?, stopping).await;
                watch.abort();
                served
            })
        });
        TestServer { address, shutdown, task: Some(task), record: Some(record) }
    }

    /// How tasks have held the worker of one that is [`TestServer::watched`].
    ///
    /// # Panics
    /// Where it is not.
    #[allow(clippy::expect_used, reason = "a test wants to know")]
    pub fn held(&self) -> Held {
        self.record.as_ref().expect("a watched server").held()
    }

    /// `http://127.0.0.1:PORT/`
    ///
    /// # Panics
    /// Never: an address always makes a URL.
    #[allow(clippy::expect_used, reason = "an address always makes a URL")]
    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).expect("an address makes a URL")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to stop and waits for its drain.
    ///
    /// # Panics
    /// Where it fails, panicked, or takes longer than 30 s.
    #[allow(clippy::expect_used, reason = "a test wants to know")]
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(task) = self.task.take() {
            let ended = tokio::time::timeout(STOP_TIMEOUT, task).await.expect("a drain within 30 s");
            ended.expect("no panic").expect("a clean end");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
