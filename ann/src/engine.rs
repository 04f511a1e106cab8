//! The port that vector engines stand behind, and the values that cross it.
//!
//! An engine holds valid [`Vector`]s under dense integer keys: whoever stands above gives out the keys,
//! small numbers first and given-back ones again, and keeps what an item is called and what else is
//! known of it.
//!
//! Writing is in two steps, since linking a vector costs a hundred times what storing it does: after
//! [`Engine::insert`] a vector is found by a scan of all that wait, after [`Engine::index`] by the index.
//! Whoever writes sees to it that `index` is called, in the background, until nothing waits.

use std::io::{Read, Write};

use roaring::RoaringBitmap;

use crate::{Metric, Vector};

/// What an engine knows an item by: dense, below [`KEYS_MAX`].
pub type Key = u32;

/// Keys lie below this.
pub const KEYS_MAX: u32 = (1 << 29) - 1;

/// At most so many hits come beyond `k`, where they are exactly as far as the last of the `k`.
pub const TIES_MAX: usize = 64;

/// How a graph is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Neighbours chosen for a new item: 4 to 128. Lists hold twice as many on the lowest level.
    pub m: usize,
    /// Candidates that they are chosen from: 1 to 10,000.
    pub ef_construction: usize,
    /// Threads that waiting items are linked with, at most.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { m: 16, ef_construction: 200, threads: 1 }
    }
}

impl Options {
    /// Whether they, and a dimension, are in their ranges.
    pub(crate) fn check(&self, dimension: usize) -> Result<(), EngineError> {
        let check = |good: bool, what, range, found| {
            if good { Ok(()) } else { Err(EngineError::Option { what, range, found }) }
        };
        check((1..=Vector::DIMENSION_MAX).contains(&dimension), "dimension", "1 to 8192", dimension)?;
        check((4..=128).contains(&self.m), "m", "4 to 128", self.m)?;
        check((1..=10_000).contains(&self.ef_construction), "ef_construction", "1 to 10000", self.ef_construction)?;
        check((1..=256).contains(&self.threads), "threads", "1 to 256", self.threads)
    }
}

/// One item found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The item.
    pub key: Key,
    /// Ascending is better: `1 − cos`, squared L2, or the negative dot product.
    pub distance: f32,
}

/// What to look for, and how hard.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Of the engine's dimension and metric.
    pub vector: &'a Vector,
    /// How many results are wanted; fewer come only where fewer match, and more only for ties.
    pub k: usize,
    /// How many candidates are kept on the way: recall against speed. At least `k` is used.
    pub ef: usize,
    /// The keys that may be answered; `None` is all.
    pub filter: Option<&'a RoaringBitmap>,
    /// Compare with every item that may be answered instead of walking the graph.
    pub exact: bool,
}

/// What an engine holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Items that can be found.
    pub live: usize,
    /// Items deleted or replaced whose space has not been reclaimed yet.
    pub deleted: usize,
    /// Live items that wait to be indexed, and are scanned until then.
    pub unindexed: usize,
    /// Memory in use, in bytes; space reserved but never touched is not counted.
    pub memory_bytes: usize,
}

/// What a batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inserted {
    /// Keys that were new.
    pub added: usize,
    /// Keys whose vector was replaced.
    pub updated: usize,
}

/// Why an engine could not do as told.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A vector of another dimension.
    #[error("a vector of dimension {found}, where the index has {expected}")]
    Dimension {
        /// The index's.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// A vector checked for another metric.
    #[error("a vector for {found:?}, where the index is for {expected:?}")]
    Metric {
        /// The index's.
        expected: Metric,
        /// The vector's.
        found: Metric,
    },
    /// A key at or beyond [`KEYS_MAX`].
    #[error("key {0} is out of range")]
    Key(Key),
    /// An option out of its range.
    #[error("{what} must be {range}, not {found}")]
    Option {
        /// Which option.
        what: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it was.
        found: usize,
    },
    /// A metric that the engine has not got.
    #[error("this engine has no {0:?} distance")]
    Unsupported(Metric),
    /// The system gave no more memory.
    #[error("no memory for more vectors")]
    Memory(#[source] std::io::Error),
    /// A snapshot could not be written or read.
    #[error("a snapshot could not be moved")]
    Io(#[from] std::io::Error),
    /// What was read is not a whole snapshot of this engine.
    #[error("not a good snapshot: {0}")]
    Snapshot(&'static str),
}

/// An index of vectors. Every method may be called from any thread; searches never wait for writers.
pub trait Engine: Send + Sync {
    /// Adds vectors, or replaces those of keys already there; they are found from its return on. All are
    /// checked before the first is applied. Where a key comes twice, either may win.
    ///
    /// # Errors
    /// A vector of another dimension or metric, a key out of range, or no memory: nothing is applied.
    fn insert(&self, batch: &[(Key, Vector)]) -> Result<Inserted, EngineError>;

    /// How many items wait for [`Self::index`].
    fn unindexed(&self) -> usize;

    /// Indexes up to so many of the items that wait, on up to the engine's threads, and reclaims what
    /// deletes have left where that is enough to be worth it; how many items still wait. Neither
    /// searches, inserts nor deletes wait for it.
    ///
    /// # Errors
    /// No memory: what waits goes on waiting, and being found.
    fn index(&self, at_most: usize) -> Result<usize, EngineError>;

    /// Removes items; the number of keys that were there. Their space is reclaimed by [`Self::index`],
    /// or here where it is a quarter of all.
    fn delete(&self, keys: &[Key]) -> usize;

    /// The nearest items, ascending by distance, then by key: `k`, and up to [`TIES_MAX`] more that are
    /// exactly as far as the last of them (of those compared: `ef`, unless all are), so that the caller can
    /// order ties by what it knows of items.
    ///
    /// # Errors
    /// A vector of another dimension or metric.
    fn search(&self, search: &Search<'_>, hits: &mut Vec<Hit>) -> Result<(), EngineError>;

    /// The stored vector of a key (of unit length under cosine).
    fn vector(&self, key: Key) -> Option<Vec<f32>>;

    /// Reclaims all that deletes have left, and mends what they have loosened.
    fn compact(&self);

    /// Live items that a search can get to: the number of live items, or something is wrong. Looks at
    /// the whole index.
    fn reachable(&self) -> usize;

    /// What is held.
    fn stats(&self) -> Stats;

    /// Writes a snapshot: versioned, with a checksum. Inserts and deletes wait while it is written;
    /// searches do not. Items that wait to be indexed do so again after [`Self::load`].
    ///
    /// # Errors
    /// What writing met.
    fn save(&self, to: &mut dyn Write) -> Result<(), EngineError>;

    /// An engine with a snapshot's content, which indexes with up to `threads` threads. Reads the snapshot
    /// and nothing behind it.
    ///
    /// # Errors
    /// What reading met, or a snapshot that is torn or foreign.
    fn load(from: &mut dyn Read, threads: usize) -> Result<Self, EngineError>
    where
        Self: Sized;
}
