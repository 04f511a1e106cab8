//! The port behind the gate: something that answers statements in Arrow batches. DuckDB is one
//! adapter ([`crate::duckdb`]); a distributed engine would be another.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use kit::Caller;
use tokio_util::sync::CancellationToken;

use crate::catalog::Dataset;
use crate::error::Error;
use crate::gate::Statement;
use crate::meaning::Searched;

/// One moment of every dataset that a statement reads.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What the statement may see.
    pub relations: Vec<Relation>,
    /// Whether these are all that the caller may read: nothing else may be seen beside them.
    pub is_everything: bool,
}

/// A dataset in a snapshot.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Whether the statement named this version: then it is `dataset_at(name, version)`, else `name`.
    pub pinned: bool,
    /// Which.
    pub dataset: Arc<Dataset>,
    /// Its objects, as paths or `s3://` URLs; `None`: only its columns are of interest.
    pub places: Option<Arc<[String]>>,
}

impl Snapshot {
    /// Whether both show the same rows.
    pub(crate) fn is_same_as(&self, other: &Snapshot) -> bool {
        let same = |a: &Relation, b: &Relation| {
            let identity = |relation: &Relation| (relation.pinned, relation.places.is_some(), relation.dataset.version);
            identity(a) == identity(b) && a.dataset.dataset_id == b.dataset.dataset_id
        };
        self.is_everything == other.is_everything
            && self.relations.len() == other.relations.len()
            && self.relations.iter().zip(&other.relations).all(|(a, b)| same(a, b))
    }
}

/// What a statement is run with, besides its text.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    /// For `?` and `$1`.
    pub positional: Vec<duck::Value>,
    /// For `$name`.
    pub named: Vec<(String, duck::Value)>,
}

/// What a statement may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From its admission to its last row.
    pub timeout: Duration,
    /// Rows to answer.
    pub rows_max: Option<u64>,
}

/// An engine. Calls block: they run on the executor's threads.
pub trait SqlEngine: Send + Sync + 'static {
    /// Runs a statement up to its first rows. The engine hands `stop` what ends it early, and has
    /// let go of everything of the statement when the [`Rows`] are dropped.
    ///
    /// # Errors
    /// What the statement or the engine did wrong.
    fn execute(&self, run: Run<'_>) -> Result<Box<dyn Rows>, Error>;
}

/// One run of a statement.
pub struct Run<'a> {
    /// What passed the gate.
    pub statement: &'a Statement,
    /// Values for its parameters.
    pub parameters: &'a Parameters,
    /// What it reads.
    pub snapshot: &'a Snapshot,
    /// The answers to the searches in it.
    pub searched: &'a [Searched],
    /// For whom.
    pub caller: &'a Caller,
    /// What it may use.
    pub limits: &'a Limits,
    /// When its time is up.
    pub deadline: Instant,
    /// What ends it early.
    pub stop: &'a Stop,
}

/// What computes the vectors of `embed()`.
pub trait Embedder: Send + Sync + 'static {
    /// One vector for each text. Blocks, at most until the deadline or the stop.
    ///
    /// # Errors
    /// What the model or the way to it did wrong.
    fn embed(
        &self,
        texts: &[&str],
        model: &str,
        caller: &Caller,
        deadline: Instant,
        stop: &Stop,
    ) -> Result<Vec<Arc<[f32]>>, Error>;
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// As the statement names it.
    pub name: String,
    /// In DuckDB's terms.
    pub logical_type: duck::Type,
}

/// A result being read.
pub trait Rows: Send {
    /// Its columns.
    fn columns(&self) -> &[ResultColumn];
    /// Its columns in Arrow's terms.
    fn schema(&self) -> SchemaRef;
    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// What went wrong on the way.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error>;
}

/// Why a statement is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Its time is up.
    Timeout,
    /// Nobody waits for its answer.
    Abandoned,
}

/// Ends a statement early; shared by whoever decides and the engine that runs it.
#[derive(Clone, Default)]
pub struct Stop(Arc<StopState>);

#[derive(Default)]
struct StopState {
    reason: AtomicU8,
    interrupt: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
    asked: CancellationToken,
}

impl Stop {
    /// Says how the running statement is interrupted. Called by the engine, once it can be.
    pub fn interrupted_by(&self, interrupt: impl Fn() + Send + Sync + 'static) {
        *self.0.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(interrupt));
    }

    /// The engine is done: there is nothing left to interrupt.
    pub fn disarm(&self) {
        *self.0.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why it was asked to stop, if it was. Engines look at this where they can.
    pub fn reason(&self) -> Option<StopReason> {
        match self.0.reason.load(Ordering::Acquire) {
            1 => Some(StopReason::Timeout),
            2 => Some(StopReason::Abandoned),
            _ => None,
        }
    }

    /// Ends when it is asked to stop: for whoever waits for something else than the engine.
    pub(crate) async fn asked(&self) {
        self.0.asked.cancelled().await;
    }

    /// Asks for the stop; the first reason counts. An interrupt may come too early to be heard:
    /// call this again until the statement is down.
    pub(crate) fn ask(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Timeout => 1,
            StopReason::Abandoned => 2,
        };
        let _the_first_counts = self.0.reason.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        self.0.asked.cancel();
        // Under the lock, so that none comes after `disarm`: it would hit whatever runs there next.
        if let Some(interrupt) = &*self.0.interrupt.lock().unwrap_or_else(PoisonError::into_inner) {
            interrupt();
        }
    }
}
