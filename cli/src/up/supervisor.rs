//! Keeps services running, and stops them in order.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use kit::server::ServeError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, chain};

/// So many failures of one service within [`FAILURES_WITHIN`] are too many.
const FAILURES_MAX: usize = 5;
const FAILURES_WITHIN: Duration = Duration::from_secs(60);
/// Before the first restart; twice as long before each further one.
pub(super) const BACK_OFF: Duration = Duration::from_millis(500);

type Start =
    dyn Fn(tokio::net::TcpListener, CancellationToken) -> BoxFuture<'static, Result<(), ServeError>> + Send + Sync;

/// What is to be kept running.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    pub(super) start: Box<Start>,
}

/// The running services.
pub(super) struct Platform {
    /// In the order in which they are stopped.
    stages: Vec<Stage>,
    given_up: mpsc::UnboundedReceiver<Failure>,
}

struct Stage {
    stop: CancellationToken,
    services: Vec<JoinHandle<()>>,
}

impl Platform {
    /// Starts everything at once: who needs another waits for it.
    pub(super) fn start(stages: Vec<Vec<Service>>, back_off: Duration) -> Self {
        // At most one message for each service.
        let (report, given_up) = mpsc::unbounded_channel();
        let stage = |services: Vec<Service>| {
            let stop = CancellationToken::new();
            let kept = |service: Service| tokio::spawn(keep(service, back_off, stop.clone(), report.clone()));
            Stage { services: services.into_iter().map(kept).collect(), stop: stop.clone() }
        };
        Platform { stages: stages.into_iter().map(stage).collect(), given_up }
    }

    /// Why the platform cannot go on; pending while it can.
    pub(super) async fn gave_up(&mut self) -> Failure {
        match self.given_up.recv().await {
            Some(failure) => failure,
            // Every service has ended as it was told to.
            None => std::future::pending().await,
        }
    }

    /// Drains stage after stage; each service bounds its own drain.
    pub(super) async fn stop(self) {
        for stage in self.stages {
            stage.stop.cancel();
            join_all(stage.services).await;
        }
    }
}

/// Runs a service until it is told to stop, and again whenever it fails, until that happens too
/// often.
async fn keep(service: Service, back_off: Duration, stop: CancellationToken, report: mpsc::UnboundedSender<Failure>) {
    let name = service.name;
    let mut failures = VecDeque::new();
    loop {
        let reason = run(&service, &stop).await;
        if stop.is_cancelled() {
            if let Err(reason) = reason {
                tracing::warn!(service = name, reason, "failed while stopping");
            }
            return;
        }
        let reason = reason.err().unwrap_or_else(|| "ended without being told to".into());
        let now = Instant::now();
        failures.push_back(now);
        while failures.front().is_some_and(|&at| now.duration_since(at) > FAILURES_WITHIN) {
            failures.pop_front();
        }
        if failures.len() >= FAILURES_MAX {
            let text = format!("{name} failed {FAILURES_MAX} times within a minute, the last time: {reason}");
            // Nobody listens only where the platform stops already.
            let _stopping_anyway = report.send(Failure::Platform(text));
            return;
        }
        let wait = back_off * (1 << (failures.len() - 1));
        tracing::error!(service = name, reason, wait_ms = wait.as_millis(), "failed; it will be started again");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// One life of a service, in a task of its own, so that a panic ends only that.
async fn run(service: &Service, stop: &CancellationToken) -> Result<(), String> {
    let listener = service.listener.try_clone().and_then(tokio::net::TcpListener::from_std);
    let listener = listener.map_err(|error| chain(&error))?;
    match tokio::spawn((service.start)(listener, stop.clone())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(error) => Err(if error.is_panic() { "it panicked".into() } else { error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt as _;

    const AT_ONCE: Duration = Duration::from_millis(1);

    fn service(
        start: impl Fn(usize, CancellationToken) -> BoxFuture<'static, Result<(), ServeError>> + Send + Sync + 'static,
    ) -> Service {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let lives = AtomicUsize::new(0);
        let start = move |_listener, stop| start(lives.fetch_add(1, Ordering::Relaxed), stop);
        Service { name: "storaged", listener, start: Box::new(start) }
    }

    fn broken() -> ServeError {
        ServeError::start("there is no disk", std::io::Error::other("out of cable"))
    }

    #[tokio::test]
    async fn five_failures_within_a_minute_are_given_up_on() {
        let lives = Arc::new(AtomicUsize::new(0));
        let counted = lives.clone();
        let failing = service(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Err(broken()) }.boxed()
        });
        let mut platform = Platform::start(vec![vec![failing]], AT_ONCE);
        let reason = platform.gave_up().await.to_string();
        assert!(reason.contains("storaged failed 5 times") && reason.ends_with("no disk: out of cable"), "{reason}");
        assert_eq!(lives.load(Ordering::Relaxed), 5);
    }

    #[tokio::test]
    async fn a_panic_and_a_failure_are_survived() {
        let (sender, mut third_life) = mpsc::unbounded_channel();
        let weak = service(move |life, stop| {
            let sender = sender.clone();
            async move {
                match life {
                    0 => panic!("the first life ends so"),
                    1 => Err(broken()),
                    _ => {
                        sender.send(()).unwrap();
                        stop.cancelled().await;
                        Ok(())
                    }
                }
            }
            .boxed()
        });
        let platform = Platform::start(vec![vec![weak]], AT_ONCE);
        third_life.recv().await.unwrap();
        platform.stop().await;
    }

    #[tokio::test]
    async fn what_calls_stops_before_what_is_called() {
        let (sender, mut order) = mpsc::unbounded_channel();
        let named = |name: &'static str| {
            let sender = sender.clone();
            service(move |_, stop| {
                let sender = sender.clone();
                async move {
                    stop.cancelled().await;
                    tokio::task::yield_now().await;
                    sender.send(name).unwrap();
                    Ok(())
                }
                .boxed()
            })
        };
        let platform =
            Platform::start(vec![vec![named("gateway")], vec![named("queryd")], vec![named("storaged")]], AT_ONCE);
        platform.stop().await;
        let stopped = [order.recv().await, order.recv().await, order.recv().await];
        assert_eq!(stopped, [Some("gateway"), Some("queryd"), Some("storaged")]);
    }
}
