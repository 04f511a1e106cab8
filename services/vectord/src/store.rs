//! The port that an index's content stands behind, and the values that cross it.
//!
//! Above it are the API and the log: what reaches [`IndexStore::apply`] has been checked and is on disk.
//! Below it is, for now, this process's memory (`memory`); a remote vector database for indexes that
//! outgrow one machine would be another adapter.

use std::io::{Read, Write};

use ann::Vector;

use crate::Error;
use crate::filter::Filter;
use crate::item::{ItemId, Op, Record};

/// What applied changes came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Applied {
    /// Items that were not there.
    pub(crate) added: usize,
    /// Items that were there and are again.
    pub(crate) updated: usize,
    /// Items that are no more.
    pub(crate) deleted: usize,
}

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StoreStats {
    /// Items that can be found.
    pub(crate) count: usize,
    /// Vectors deleted or replaced whose space has not been reclaimed yet.
    pub(crate) deleted: usize,
    /// Items found by comparing with each, as they are not linked into the graph yet.
    pub(crate) unindexed: usize,
    /// Runs that the index is held in: one graph, and one scanned tail where there is one.
    pub(crate) segments: usize,
    pub(crate) memory_bytes: usize,
}

/// One vector to search around.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Checked for the index.
    Vector(Vector),
    /// The vector of an item, which is among the answers.
    Item(ItemId),
}

/// How to search.
#[derive(Debug, Clone)]
pub(crate) struct SearchOptions {
    pub(crate) k: usize,
    pub(crate) ef: usize,
    pub(crate) exact: bool,
    pub(crate) filter: Option<Filter>,
    /// Answers below it are left out.
    pub(crate) min_score: Option<f32>,
    pub(crate) with_vector: bool,
}

/// An answer.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) record: Record,
    pub(crate) distance: f32,
    pub(crate) vector: Option<Vec<f32>>,
}

/// A stored item.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) record: Record,
    pub(crate) vector: Option<Vec<f32>>,
}

/// A part of all items, in an order that stays the same while items come and go.
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// The id to go on after; `None` on the last page.
    pub(crate) next_after: Option<ItemId>,
}

/// The content of one index. Methods block; they may be called from any thread. What reads (`item`, `search`,
/// `scroll`, `count`, `matching`) never waits for `apply` or `save`. Only one thread at a time calls
/// [`IndexStore::apply`].
pub(crate) trait IndexStore: Send + Sync {
    /// Applies changes in their order. Applying again what was applied before leads to the same content,
    /// whatever came after it, as long as that is applied again too: so a log may be replayed from before
    /// the moment of a snapshot.
    ///
    /// # Errors
    /// No memory. The store is then not to be trusted with more changes.
    fn apply(&self, ops: Vec<Op>) -> Result<Applied, Error>;

    fn contains(&self, id: &str) -> bool;

    fn item(&self, id: &str, with_vector: bool) -> Option<Item>;

    /// The nearest items to a target, ascending by distance, then by id.
    ///
    /// # Errors
    /// A target that is not there.
    fn search(&self, target: &Target, options: &SearchOptions) -> Result<Vec<Found>, Error>;

    /// Up to `limit` items behind `after`.
    fn scroll(&self, after: Option<&ItemId>, limit: usize, filter: Option<&Filter>, with_vector: bool) -> Page;

    /// Items that match.
    fn count(&self, filter: Option<&Filter>) -> usize;

    /// The ids that match.
    fn matching(&self, filter: &Filter) -> Vec<ItemId>;

    /// Links some of what is not indexed yet; how much is left.
    ///
    /// # Errors
    /// No memory.
    fn index_some(&self) -> Result<usize, Error>;

    /// Reclaims what deletes have left.
    fn compact(&self);

    fn stats(&self) -> StoreStats;

    /// Items that a search can get to: as many as there are, or something is wrong.
    fn reachable(&self) -> usize;

    /// Writes everything. No changes are applied meanwhile.
    ///
    /// # Errors
    /// What writing met.
    fn save(&self, to: &mut dyn Write) -> Result<(), Error>;

    /// Replaces what an empty store holds by what was saved.
    ///
    /// # Errors
    /// What reading met; bytes that are no such content.
    fn load(&mut self, from: &mut dyn Read) -> Result<(), Error>;
}
