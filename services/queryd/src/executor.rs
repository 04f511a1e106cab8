//! Runs statements: lets so many in at once, each on a thread that may block, watches the time and
//! whether anybody still waits, and passes the answer on piece by piece.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kit::Caller;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::encode::{End, Format};
use crate::engine::{Limits, Parameters, Rows, Run, Snapshot, SqlEngine, Stop, StopReason};
use crate::error::Error;
use crate::gate::Statement;
use crate::meaning::Searched;
use crate::metrics::Metrics;

/// An interrupt that comes before the statement has begun is not heard: it is sent again this often.
const INTERRUPT_EVERY: Duration = Duration::from_millis(10);

/// What the executor may use.
#[derive(Debug, Clone)]
pub(crate) struct ExecutorLimits {
    pub(crate) concurrent_max: usize,
    pub(crate) queue_max: usize,
    pub(crate) queue_timeout: Duration,
    pub(crate) piece_bytes: usize,
    pub(crate) pieces_max: usize,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Executor(Arc<Inner>);

struct Inner {
    engine: Arc<dyn SqlEngine>,
    limits: ExecutorLimits,
    places: Arc<Semaphore>,
    /// Those that run and those that wait.
    admitted: Arc<Semaphore>,
    metrics: Metrics,
}

/// All that one run takes.
pub(crate) struct Job {
    pub(crate) statement: Arc<Statement>,
    pub(crate) parameters: Parameters,
    pub(crate) snapshot: Snapshot,
    pub(crate) caller: Caller,
    pub(crate) limits: Limits,
    pub(crate) searched: Vec<Searched>,
    /// Of the whole statement, from its arrival on.
    pub(crate) deadline: Instant,
    pub(crate) format: Format,
}

/// A piece of an answer.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    /// With the last piece.
    pub(crate) end: Option<End>,
}

/// An answer that has begun. Dropped before its end, it stops the statement.
pub(crate) struct Answer {
    pieces: mpsc::Receiver<Result<Piece, Error>>,
    /// `None` where nothing is left to stop.
    _abandon: Option<DropGuard>,
}

impl Answer {
    /// The next piece; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Result<Piece, Error>> {
        self.pieces.recv().await
    }

    pub(crate) fn poll_next(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Piece, Error>>> {
        self.pieces.poll_recv(context)
    }
}

impl Executor {
    pub(crate) fn new(engine: Arc<dyn SqlEngine>, limits: ExecutorLimits, metrics: Metrics) -> Self {
        let places = Arc::new(Semaphore::new(limits.concurrent_max));
        let admitted = Arc::new(Semaphore::new(limits.concurrent_max + limits.queue_max));
        Executor(Arc::new(Inner { engine, limits, places, admitted, metrics }))
    }

    /// Runs a statement up to its first piece. What fails before that fails here.
    pub(crate) async fn run(&self, job: Job) -> Result<(Piece, Answer), Error> {
        let place = self.admit(job.deadline, job.limits.timeout).await?;
        let (send, mut pieces) = mpsc::channel(self.0.limits.pieces_max);
        let (stop, done) = (Stop::default(), CancellationToken::new());
        let (runtime, timeout) = (Handle::current(), job.limits.timeout);
        let watch = Watch { stop: stop.clone(), deadline: job.deadline, done: done.clone(), runtime: runtime.clone() };
        let outlet = Outlet { send, stop, runtime, timeout };
        let running = Running { _place: place, _done: done.drop_guard() };
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.execute(&job, outlet, running));
        match watch.first_of(&mut pieces).await {
            Some(Ok(piece)) => {
                let abandon = piece.end.is_none().then(|| watch.go_on());
                Ok((piece, Answer { pieces, _abandon: abandon }))
            }
            Some(Err(error)) => Err(error),
            None => Err(Error::Internal("the statement's thread panicked")),
        }
    }

    /// A place to run in; 503 where too many wait, or this one waits too long.
    async fn admit(&self, deadline: Instant, wanted: Duration) -> Result<Place, Error> {
        let inner = &self.0;
        let overloaded =
            || Error::Overloaded { retry_after: inner.limits.queue_timeout.max(Duration::from_secs(1)) / 2 };
        let admitted = inner.admitted.clone().try_acquire_owned().map_err(|_| overloaded())?;
        let place = match inner.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                inner.metrics.waiting.inc();
                let _waiting = Counted(&inner.metrics.waiting);
                let until_deadline = deadline.saturating_duration_since(Instant::now());
                let patience = inner.limits.queue_timeout.min(until_deadline);
                match timeout(patience, inner.places.clone().acquire_owned()).await {
                    Ok(place) => place.map_err(|_| Error::Internal("the executor is closed"))?,
                    Err(_) if patience == until_deadline => return Err(Error::Timeout(wanted)),
                    Err(_) => return Err(overloaded()),
                }
            }
        };
        Ok(Place { _place: place, _admitted: admitted })
    }
}

struct Counted<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct Place {
    _place: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
}

/// Held by the statement's thread: when it ends, however it does, the watch ends and the place is free.
struct Running {
    _done: DropGuard,
    _place: Place,
}

/// Stops a statement whose time is up, or, when it is dropped, whose caller left.
struct Watch {
    stop: Stop,
    deadline: Instant,
    /// Cancelled when the statement is down.
    done: CancellationToken,
    runtime: Handle,
}

impl Watch {
    /// Most statements end with their first piece. Up to that, who waits for it watches, so that no task has
    /// to be woken for them.
    async fn first_of(&self, pieces: &mut mpsc::Receiver<Result<Piece, Error>>) -> Option<Result<Piece, Error>> {
        tokio::select! {
            biased;
            first = pieces.recv() => return first,
            () = sleep_until(self.deadline) => {}
        }
        self.interrupt(StopReason::Timeout);
        pieces.recv().await
    }

    /// Until the statement ends, or the guard is dropped.
    fn go_on(self) -> DropGuard {
        let abandoned = CancellationToken::new();
        let guard = abandoned.clone().drop_guard();
        self.runtime.clone().spawn(async move {
            tokio::select! {
                () = self.done.cancelled() => {}
                () = abandoned.cancelled() => {}
                () = sleep_until(self.deadline) => self.interrupt(StopReason::Timeout),
            }
        });
        guard
    }

    fn interrupt(&self, reason: StopReason) {
        // At once: of two reasons the first one counts.
        self.stop.ask(reason);
        let (stop, done) = (self.stop.clone(), self.done.clone());
        self.runtime.spawn(async move {
            while !done.is_cancelled() {
                stop.ask(reason);
                sleep(INTERRUPT_EVERY).await;
            }
        });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.done.is_cancelled() {
            self.interrupt(StopReason::Abandoned);
        }
    }
}

/// Where the statement's thread puts its pieces.
struct Outlet {
    send: mpsc::Sender<Result<Piece, Error>>,
    stop: Stop,
    runtime: Handle,
    timeout: Duration,
}

impl Outlet {
    /// Waits while the client has enough to read.
    fn put(&self, piece: Piece) -> Result<(), Error> {
        let sent = match self.send.try_send(Ok(piece)) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(piece)) => self.runtime.block_on(async {
                tokio::select! {
                    sent = self.send.send(piece) => sent.is_ok(),
                    () = self.stop.asked() => false,
                }
            }),
        };
        match (sent, self.stop.reason()) {
            (true, _) => Ok(()),
            (false, Some(StopReason::Timeout)) => Err(Error::Timeout(self.timeout)),
            (false, _) => Err(Error::Cancelled),
        }
    }

    /// The last that the client hears. Nothing waits for a client that does not read: what it has
    /// not taken within the statement's own time, it does not get, and its connection is cut.
    fn close(self, last: Result<Piece, Error>) {
        if let Err(mpsc::error::TrySendError::Full(last)) = self.send.try_send(last) {
            self.runtime.spawn(async move {
                let _cut = timeout(self.timeout, self.send.send(last)).await;
            });
        }
    }
}

impl Inner {
    fn execute(&self, job: &Job, outlet: Outlet, running: Running) {
        let started = std::time::Instant::now();
        self.metrics.running.inc();
        let _running = Counted(&self.metrics.running);
        let outcome = self.answer(job, &outlet);
        self.metrics.duration.observe(started.elapsed().as_secs_f64());
        // The place is free and the watch over before the client can ask for more.
        drop(running);
        match outcome {
            Ok(last) => {
                self.metrics.ended("ok");
                self.metrics.rows.inc_by(last.end.map_or(0, |end| end.rows));
                outlet.close(Ok(last));
            }
            Err(error) => {
                let error = if matches!(error, Error::Timeout(_)) { Error::Timeout(job.limits.timeout) } else { error };
                self.metrics.ended(match &error {
                    Error::Timeout(_) => "timeout",
                    Error::Cancelled => "abandoned",
                    Error::Engine { .. } | Error::NoSpace | Error::Internal(_) => "failed",
                    _ => "refused",
                });
                outlet.close(Err(error));
            }
        }
    }

    /// Puts all pieces but the last, which it returns when the engine has let go of everything.
    fn answer(&self, job: &Job, outlet: &Outlet) -> Result<Piece, Error> {
        let run = Run {
            statement: &job.statement,
            parameters: &job.parameters,
            snapshot: &job.snapshot,
            searched: &job.searched,
            caller: &job.caller,
            limits: &job.limits,
            deadline: job.deadline.into_std(),
            stop: &outlet.stop,
        };
        let mut rows = self.engine.execute(run)?;
        self.encode(rows.as_mut(), job, outlet)
    }

    fn encode(&self, rows: &mut dyn Rows, job: &Job, outlet: &Outlet) -> Result<Piece, Error> {
        let piece_bytes = self.limits.piece_bytes;
        let mut out = Vec::new();
        let mut encoder = job.format.begin(rows.columns(), &rows.schema(), &mut out)?;
        let mut end = End { rows: 0, truncated: false };
        while let Some(mut batch) = rows.next_batch()? {
            let room = job.limits.rows_max.map_or(u64::MAX, |max| max - end.rows);
            if batch.num_rows() as u64 > room {
                end.truncated = true;
                batch = batch.slice(0, usize::try_from(room).unwrap_or(usize::MAX));
            }
            end.rows += batch.num_rows() as u64;
            encoder.batch(&batch, &mut out)?;
            if end.truncated {
                break;
            }
            if out.len() >= piece_bytes {
                let full = std::mem::replace(&mut out, Vec::with_capacity(piece_bytes + piece_bytes / 4));
                outlet.put(Piece { bytes: full.into(), end: None })?;
            }
        }
        encoder.end(end, &mut out)?;
        Ok(Piece { bytes: out.into(), end: Some(end) })
    }
}
