//! Starting a real service on a free port, for tests.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::server::ServeError;

const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A service that runs in this process until it is stopped or dropped.
pub struct TestServer {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: Option<JoinHandle<Result<(), ServeError>>>,
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
        TestServer { address, shutdown, task: Some(task) }
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
