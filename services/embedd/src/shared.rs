//! The second tier: vectors that several processes share. A port; the adapters lie beside it.

mod breaker;
mod cache;
mod client;
mod counters;
mod lease;
mod link;
mod name;
mod queue;
mod shards;
#[cfg(test)]
mod tests;
mod value;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::embedding::{Embedding, Key};

pub(crate) use cache::RedisCache;

/// A cache outside of this process. It helps or it does not: nothing here fails, and nothing takes longer than
/// the adapter's own budget; what cannot be had is a miss.
#[async_trait]
pub(crate) trait SharedCache: Send + Sync {
    /// An entry for each key, in their order. What is used is kept longer: an entry in the second half of its
    /// `ttl` gets a new one.
    async fn get_many(&self, keys: &[Key], ttl: Duration) -> Vec<Option<Embedding>>;

    /// Keeps entries, soon and in the background, then lets go of the lease.
    fn set_many(&self, entries: Vec<(Key, Embedding)>, ttl: Duration, lease: Option<Lease>);

    /// Asks to be the one process that computes each of the keys. Where that cannot be agreed upon, all are ours.
    /// A key whose entry has come since it was looked for is not: waiting for it ends at once.
    async fn lease(&self, keys: &[Key]) -> Lease;

    /// Waits for entries that other processes compute, until `deadline` at most or until it is plain that they
    /// will not come: those are `None`, and the caller computes them itself.
    async fn wait_many(&self, keys: &[Key], deadline: Instant) -> Vec<Option<Embedding>>;

    /// Its figures, for the stats.
    fn figures(&self) -> SharedFigures;
}

/// Which keys of a list this process computes. Dropped, it lets go of them.
pub(crate) struct Lease {
    /// One for each key that was asked for, in their order.
    pub(crate) held: Vec<bool>,
    /// The adapter's own: lets go of the keys when it is dropped.
    #[allow(dead_code, reason = "it is there to be dropped")]
    pub(crate) guard: Option<Box<dyn Send + Sync>>,
}

/// What a shared cache counts, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SharedFigures {
    /// Calls that failed or ran out of time.
    pub(crate) errors: u64,
    /// Entries that were not kept, as the queue was full or the server refused them.
    pub(crate) dropped: u64,
    /// Values that were not what they must be.
    pub(crate) damaged: u64,
    /// Waits for another process that ended with its entry.
    pub(crate) waits: u64,
    /// Whether it is asked at all at the moment.
    pub(crate) available: bool,
}
