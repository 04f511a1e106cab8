//! What the rows about vectors share: the data, the engines, the two servers.

pub(crate) mod api;
pub(crate) mod batches;
pub(crate) mod chroma;
pub(crate) mod curve;
pub(crate) mod engine;
pub(crate) mod set;
pub(crate) mod truth;

pub(crate) use set::Set;

/// Results that every search asks for.
pub(crate) const K: usize = 10;
/// Items in one batch, everywhere.
pub(crate) const BATCH: usize = 1_000;
/// Neighbours of a new item, in every engine.
pub(crate) const M: usize = 16;
/// Candidates that they are chosen from, in every engine.
pub(crate) const EF_CONSTRUCTION: usize = 200;
