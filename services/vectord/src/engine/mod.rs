//! The port that vector engines stand behind, and the values that cross it.
//!
//! An engine holds valid [`Vector`]s under dense integer keys: whoever stands above gives out the keys,
//! small numbers first and given-back ones again, and keeps what an item is called and what else is
//! known of it.

use std::io::{Read, Write};

pub mod lake;
mod simd;
mod vector;

pub use vector::{Metric, Vector, VectorError};

use roaring::RoaringBitmap;

/// What an engine knows an item by: dense, below [`KEYS_MAX`].
pub type Key = u32;

/// Keys lie below this.
pub const KEYS_MAX: u32 = (1 << 30) - 1;

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
    /// How many results are wanted; fewer come only where fewer match.
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
    /// Adds vectors, or replaces those of keys already there. All are checked before the first is
    /// applied. Where a key comes twice, either may win.
    ///
    /// # Errors
    /// A vector of another dimension or metric, a key out of range, or no memory: nothing is applied.
    fn insert(&self, batch: &[(Key, Vector)]) -> Result<Inserted, EngineError>;

    /// Removes items; the number of keys that were there.
    fn delete(&self, keys: &[Key]) -> usize;

    /// The nearest items, ascending by distance, then by key.
    ///
    /// # Errors
    /// A vector of another dimension or metric.
    fn search(&self, search: &Search<'_>, hits: &mut Vec<Hit>) -> Result<(), EngineError>;

    /// The stored vector of a key (of unit length under cosine).
    fn vector(&self, key: Key) -> Option<Vec<f32>>;

    /// Reclaims all that deletes have left, and mends what they have loosened.
    fn compact(&self);

    /// What is held.
    fn stats(&self) -> Stats;

    /// Writes a snapshot: versioned, with a checksum. Writers wait; searches do not.
    ///
    /// # Errors
    /// What writing met.
    fn save(&self, to: &mut dyn Write) -> Result<(), EngineError>;

    /// An engine with a snapshot's content, which inserts with up to `threads` threads.
    ///
    /// # Errors
    /// What reading met, or a snapshot that is torn or foreign.
    fn load(from: &mut dyn Read, threads: usize) -> Result<Self, EngineError>
    where
        Self: Sized;
}
