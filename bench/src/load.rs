//! A closed loop: each connection sends its next request when its last one is answered.
//!
//! All connections live on one thread, so that on a small machine the generator takes the same
//! small share from every server. Latencies are what the loop sees; it makes no claim about what
//! an open arrival process would see while a server stalls.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::Request;

use crate::http::{Body, Connection};
use crate::stats;

/// One request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a loop goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// Counts what starts and ends within `measured`, after a warm-up.
    For { warm_up: Duration, measured: Duration },
    /// Exactly so many requests, all of them counted.
    Requests(u64),
}

/// What a loop saw.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    latencies: Vec<f64>,
}

impl Outcome {
    /// Of latencies taken elsewhere, in seconds.
    pub(crate) fn new(latencies: Vec<f64>, seconds: f64) -> Self {
        let mut latencies = latencies;
        latencies.sort_unstable_by(f64::total_cmp);
        Outcome { requests: latencies.len() as u64, seconds, latencies }
    }

    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// The latency, in seconds, that a share of the requests did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        stats::percentile(&self.latencies, share)
    }
}

struct Shared<'a> {
    request: &'a dyn Fn(u64) -> Result<Request<Body>>,
    next: Cell<u64>,
    latencies: RefCell<Vec<f64>>,
    failures: Cell<u64>,
    first_failure: RefCell<Option<anyhow::Error>>,
    begin: Instant,
    length: Length,
}

/// Runs the loop; `request` makes the request of each number, from 0 on.
///
/// # Errors
/// Any request that fails: a figure that hides failures is worth nothing.
pub(crate) async fn run(
    address: SocketAddr,
    connections: usize,
    length: Length,
    request: &dyn Fn(u64) -> Result<Request<Body>>,
) -> Result<Outcome> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(address).await?);
    }
    let shared = Shared {
        request,
        next: Cell::new(0),
        latencies: RefCell::default(),
        failures: Cell::new(0),
        first_failure: RefCell::default(),
        begin: Instant::now(),
        length,
    };
    futures::future::join_all(opened.into_iter().map(|connection| shared.work(connection))).await;
    let seconds = match length {
        Length::For { measured, .. } => measured.as_secs_f64(),
        Length::Requests(_) => shared.begin.elapsed().as_secs_f64(),
    };
    if let Some(error) = shared.first_failure.into_inner() {
        return Err(error.context(format!("{} of {} requests failed", shared.failures.get(), shared.next.get())));
    }
    let outcome = Outcome::new(shared.latencies.into_inner(), seconds);
    if outcome.requests == 0 {
        bail!("not one request ended within {seconds:.1} s");
    }
    Ok(outcome)
}

impl Shared<'_> {
    async fn work(&self, mut connection: Connection) {
        while let Some(number) = self.take() {
            let started = Instant::now();
            let exchange = async { connection.drain((self.request)(number)?).await };
            match tokio::time::timeout(REQUEST_TIMEOUT, exchange).await.context("no answer in time") {
                Ok(Ok(_)) => self.count(started, Instant::now()),
                Ok(Err(error)) | Err(error) => {
                    self.failures.set(self.failures.get() + 1);
                    self.first_failure.borrow_mut().get_or_insert(error);
                }
            }
        }
    }

    /// The number of the next request, while there is one.
    fn take(&self) -> Option<u64> {
        let number = self.next.get();
        let goes_on = match self.length {
            Length::For { warm_up, measured } => self.begin.elapsed() < warm_up + measured,
            Length::Requests(count) => number < count,
        };
        goes_on.then(|| {
            self.next.set(number + 1);
            number
        })
    }

    fn count(&self, started: Instant, ended: Instant) {
        let counts = match self.length {
            Length::For { warm_up, measured } => {
                started >= self.begin + warm_up && ended <= self.begin + warm_up + measured
            }
            Length::Requests(_) => true,
        };
        if counts {
            self.latencies.borrow_mut().push((ended - started).as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// Answers every request with what `respond` makes of its path.
    async fn stand_in(respond: fn(&str) -> String) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, respond));
            }
        });
        address
    }

    async fn answer(mut stream: TcpStream, respond: fn(&str) -> String) {
        let mut head = [0; 1_024];
        while let Ok(read @ 1..) = stream.read(&mut head).await {
            let text = String::from_utf8_lossy(&head[..read]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default();
            stream.write_all(respond(path).as_bytes()).await.unwrap();
        }
    }

    fn ok(_: &str) -> String {
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into()
    }

    #[tokio::test]
    async fn counts_exactly_what_was_asked() {
        let address = stand_in(ok).await;
        let outcome = run(address, 3, Length::Requests(50), &|_| get("/")).await.unwrap();
        assert_eq!(outcome.requests, 50);
        assert!(outcome.percentile(0.5) <= outcome.percentile(0.99) && outcome.rate() > 0.0);
    }

    #[tokio::test]
    async fn one_failure_fails_the_measurement() {
        let address = stand_in(|path| match path {
            "/7" => "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy".into(),
            other => ok(other),
        })
        .await;
        let numbered = |number: u64| get(&format!("/{number}"));
        let error = run(address, 2, Length::Requests(20), &numbered).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "1 of 20 requests failed: 503 Service Unavailable: busy");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_a_failure() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await.unwrap();
        });
        let error = run(address, 1, Length::Requests(1), &|_| get("/")).await.unwrap_err();
        assert!(format!("{error:#}").contains("broke off"), "{error:#}");
    }

    #[tokio::test]
    async fn the_warm_up_is_not_counted() {
        let address = stand_in(ok).await;
        let length = Length::For { warm_up: Duration::from_millis(50), measured: Duration::from_millis(50) };
        let outcome = run(address, 1, length, &|_| get("/")).await.unwrap();
        let all = outcome.latencies.iter().sum::<f64>();
        assert!(all <= 0.05 + 1e-9, "{all} s of requests within 50 ms on one connection");
    }
}
