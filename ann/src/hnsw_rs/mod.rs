//! `hnsw_rs`: the crate of that name behind the port, for comparison and as another opinion.
//!
//! The crate neither deletes nor updates: what is deleted or replaced stays in its graph as a tombstone
//! that answers leave out, until tombstones are a share of all and the graph is built again. Distances
//! are this crate's own: `DistDot` of `anndists` panics where rounding brings the product of two unit vectors
//! above 1.000002, and `DistL2` is a root. Its graph wants distances from zero up, so [`Metric::Dot`] is
//! refused.
//!
//! Searches keep the state they began with, and take no lock that anybody holds for longer than it takes to
//! change, or look up, some items (the graph's own, around each list of neighbours, are of that kind).
//!
//! Invariant: a number (the crate's `DataId`) is an item's place in a state's table, and an item is there
//! for searches exactly while its key maps to its number.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::simd::Kernels;
use crate::{Engine, EngineError, Hit, Inserted, KEYS_MAX, Key, Metric, Options, Search, Stats, Vector};
use state::{Item, State};

mod reach;
mod search;
mod snapshot;
mod state;

/// The graph is built again when one in so many items is a tombstone.
const REBUILD_PER_TOMBSTONE: usize = 4;

/// See the module.
pub struct HnswRs {
    metric: Metric,
    dimension: usize,
    options: Options,
    kernels: Kernels,
    /// Locked for as long as it takes to copy or swap the pointer.
    state: RwLock<Arc<State>>,
    /// Held by the one who writes.
    writing: Mutex<()>,
}

impl HnswRs {
    /// Without items.
    ///
    /// # Errors
    /// An option out of its range, or [`Metric::Dot`].
    pub fn new(metric: Metric, dimension: usize, options: Options) -> Result<Self, EngineError> {
        Self::of(metric, dimension, options, Vec::new())
    }

    fn of(metric: Metric, dimension: usize, options: Options, items: Vec<Arc<Item>>) -> Result<Self, EngineError> {
        options.check(dimension)?;
        if metric == Metric::Dot {
            return Err(EngineError::Unsupported(metric));
        }
        let kernels = Kernels::detect();
        let state = RwLock::new(Arc::new(State::of(metric, kernels, options, items)));
        Ok(Self { metric, dimension, options, kernels, state, writing: Mutex::new(()) })
    }

    fn state(&self) -> Arc<State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, vector: &Vector) -> Result<(), EngineError> {
        vector.check(self.metric, self.dimension)
    }

    /// Builds the graph again without tombstones, beside the one that is searched. The caller is the one
    /// who writes.
    fn rebuild(&self) {
        let items = self.state().present();
        let fresh = Arc::new(State::of(self.metric, self.kernels, self.options, items));
        let former = std::mem::replace(&mut *self.state.write().unwrap_or_else(PoisonError::into_inner), fresh);
        // Freed here, which takes its time, and not by whichever search leaves it last.
        while Arc::strong_count(&former) > 1 {
            std::thread::yield_now();
        }
    }

    fn tidy(&self) {
        let due = {
            let state = self.state();
            let table = state.table();
            table.tombstones() * REBUILD_PER_TOMBSTONE > table.numbers()
        };
        if due {
            self.rebuild();
        }
    }
}

impl Engine for HnswRs {
    fn insert(&self, batch: &[(Key, Vector)]) -> Result<Inserted, EngineError> {
        for (key, vector) in batch {
            self.check(vector)?;
            if *key >= KEYS_MAX {
                return Err(EngineError::Key(*key));
            }
        }
        let items: Vec<_> =
            batch.iter().map(|(key, vector)| Arc::new(Item { key: *key, vector: vector.clone() })).collect();
        let _writing = self.writing();
        let updated = self.state().add(&items, self.options.threads);
        self.tidy();
        Ok(Inserted { added: batch.len() - updated, updated })
    }

    fn unindexed(&self) -> usize {
        0
    }

    fn index(&self, _at_most: usize) -> Result<usize, EngineError> {
        Ok(0)
    }

    fn delete(&self, keys: &[Key]) -> usize {
        let _writing = self.writing();
        let deleted = self.state().remove(keys);
        self.tidy();
        deleted
    }

    fn search(&self, search: &Search<'_>, hits: &mut Vec<Hit>) -> Result<(), EngineError> {
        self.check(search.vector)?;
        hits.clear();
        self.answer(&self.state(), search, hits);
        Ok(())
    }

    fn vector(&self, key: Key) -> Option<Vec<f32>> {
        let state = self.state();
        let item = state.table().item(key).cloned();
        item.map(|item| item.vector.components().to_vec())
    }

    fn compact(&self) {
        let _writing = self.writing();
        if self.state().table().tombstones() > 0 {
            self.rebuild();
        }
    }

    fn reachable(&self) -> usize {
        // No item is in the graph and not yet known, or the other way round, while nobody writes.
        let _writing = self.writing();
        reach::count(&self.state())
    }

    fn stats(&self) -> Stats {
        let state = self.state();
        let table = state.table();
        // The graph keeps a vector of its own, and per link a pointer to a pair of a pointer and a distance.
        let vector_bytes = 2 * self.dimension * size_of::<f32>();
        let link_bytes = size_of::<usize>() + 4 * size_of::<usize>();
        let memory_bytes = table.numbers() * (vector_bytes + 2 * self.options.m * link_bytes);
        Stats { live: table.live(), deleted: table.tombstones(), unindexed: 0, memory_bytes }
    }

    fn save(&self, to: &mut dyn Write) -> Result<(), EngineError> {
        let _writing = self.writing();
        snapshot::write(self, &self.state().present(), to)
    }

    fn load(from: &mut dyn Read, threads: usize) -> Result<Self, EngineError> {
        snapshot::read(from, threads)
    }
}
