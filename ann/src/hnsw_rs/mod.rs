//! `hnsw_rs`: the crate of that name behind the port, for comparison and as another opinion.
//!
//! The crate neither deletes nor updates: what is deleted or replaced stays in its graph as a tombstone
//! that answers leave out, until tombstones are a share of all and the graph is built again. Distances
//! are this crate's own: `DistDot` of `anndists` panics where rounding brings the product of two unit vectors
//! above 1.000002, and `DistL2` is a root. Its graph wants distances from zero up, so [`Metric::Dot`] is
//! refused.
//!
//! Invariant: a number (the crate's `DataId`) is an item's place in `State::items`, and an item is there
//! for searches exactly while its key maps to its number.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ::hnsw_rs::prelude::{Distance, Hnsw};
use roaring::RoaringBitmap;

use crate::simd::Kernels;
use crate::{Engine, EngineError, Hit, Inserted, KEYS_MAX, Key, Metric, Options, Search, Stats, TIES_MAX, Vector};

mod reach;
mod snapshot;

/// The graph is built again when one in so many items is a tombstone.
const REBUILD_PER_TOMBSTONE: usize = 4;
/// Up to so many matches of a filter, or where fewer than one in so many items matches, all are compared.
const SCANNED_MATCHES_MAX: usize = 1000;
const SCANNED_PER_MATCH: usize = 10;
/// Layers and items that the graph reckons with; it grows beyond the second.
const LAYERS: usize = 16;
const ITEMS_EXPECTED: usize = 10_000;

/// See the module.
pub struct HnswRs {
    metric: Metric,
    dimension: usize,
    options: Options,
    kernels: Kernels,
    state: RwLock<State>,
    /// Held by the one who writes; `state` is locked for writing only for moments under it.
    writing: Mutex<()>,
}

struct State {
    graph: Hnsw<'static, f32, Measure>,
    items: Vec<Item>,
    numbers: HashMap<Key, usize>,
}

#[derive(Clone)]
struct Item {
    key: Key,
    vector: Vector,
}

struct Measure {
    metric: Metric,
    kernels: Kernels,
}

impl Distance<f32> for Measure {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        self.metric.measure(&self.kernels, a, b)
    }
}

impl State {
    /// The item of a number, if searches may find it.
    fn present(&self, number: usize) -> Option<&Item> {
        self.items.get(number).filter(|item| self.numbers.get(&item.key) == Some(&number))
    }

    fn tombstones(&self) -> usize {
        self.items.len() - self.numbers.len()
    }

    fn link(&self, number: usize) {
        if let Some(item) = self.items.get(number) {
            self.graph.insert_slice((item.vector.components(), number));
        }
    }
}

impl HnswRs {
    /// Without items.
    ///
    /// # Errors
    /// An option out of its range, or [`Metric::Dot`].
    pub fn new(metric: Metric, dimension: usize, options: Options) -> Result<Self, EngineError> {
        options.check(dimension)?;
        if metric == Metric::Dot {
            return Err(EngineError::Unsupported(metric));
        }
        let kernels = Kernels::detect();
        let state = RwLock::new(empty(metric, kernels, options));
        Ok(Self { metric, dimension, options, kernels, state, writing: Mutex::new(()) })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, vector: &Vector) -> Result<(), EngineError> {
        vector.check(self.metric, self.dimension)
    }

    /// Links items from a number on, on the engine's threads.
    fn link_from(&self, state: &State, first: usize) {
        let next = AtomicUsize::new(first);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= state.items.len() {
                    break;
                }
                state.link(number);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.threads.min(state.items.len() - first) {
                scope.spawn(work);
            }
            work();
        });
    }

    /// Builds the graph again without tombstones, beside the one that is searched. The caller is the one
    /// who writes.
    fn rebuild(&self) {
        let mut fresh = empty(self.metric, self.kernels, self.options);
        {
            let state = self.read();
            fresh.items = (0..state.items.len()).filter_map(|number| state.present(number)).cloned().collect();
        }
        fresh.numbers = (0..).zip(&fresh.items).map(|(number, item)| (item.key, number)).collect();
        self.link_all(&fresh);
        *self.write() = fresh;
    }

    fn link_all(&self, state: &State) {
        if !state.items.is_empty() {
            // Alone: the graph does not take its first item and another one at once.
            state.link(0);
            self.link_from(state, 1);
        }
    }

    fn tidy(&self) {
        let due = {
            let state = self.read();
            state.tombstones() * REBUILD_PER_TOMBSTONE > state.items.len()
        };
        if due {
            self.rebuild();
        }
    }

    fn scan(&self, state: &State, search: &Search<'_>, hits: &mut Vec<Hit>) {
        hits.clear();
        let measure = |item: &Item| self.hit(search, item);
        match search.filter {
            Some(filter) => hits.extend(filter.iter().filter_map(|key| state.item(key)).map(measure)),
            None => hits.extend(state.numbers.values().filter_map(|number| state.items.get(*number)).map(measure)),
        }
    }

    /// By the graph: as many more candidates as it takes to have `ef` of those that may be answered.
    fn walk(&self, state: &State, search: &Search<'_>, matches: usize, hits: &mut Vec<Hit>) {
        hits.clear();
        let ef = search.ef.max(search.k) * state.items.len() / matches.max(1) + 1;
        let found = state.graph.search(search.vector.components(), ef, ef);
        let present = found.iter().filter_map(|found| state.present(found.get_origin_id()));
        let wanted = |item: &&Item| search.filter.is_none_or(|filter| filter.contains(item.key));
        hits.extend(present.filter(wanted).map(|item| self.hit(search, item)));
    }

    fn hit(&self, search: &Search<'_>, item: &Item) -> Hit {
        let distance = self.metric.measure(&self.kernels, search.vector.components(), item.vector.components());
        Hit { key: item.key, distance }
    }
}

impl State {
    fn item(&self, key: Key) -> Option<&Item> {
        self.numbers.get(&key).and_then(|number| self.items.get(*number))
    }
}

fn empty(metric: Metric, kernels: Kernels, options: Options) -> State {
    let measure = Measure { metric, kernels };
    let graph = Hnsw::new(options.m, ITEMS_EXPECTED, LAYERS, options.ef_construction, measure);
    State { graph, items: Vec::new(), numbers: HashMap::new() }
}

fn is_few(matches: usize, live: usize, filter: Option<&RoaringBitmap>) -> bool {
    filter.is_some() && (matches <= SCANNED_MATCHES_MAX || matches * SCANNED_PER_MATCH < live)
}

impl Engine for HnswRs {
    fn insert(&self, batch: &[(Key, Vector)]) -> Result<Inserted, EngineError> {
        for (key, vector) in batch {
            self.check(vector)?;
            if *key >= KEYS_MAX {
                return Err(EngineError::Key(*key));
            }
        }
        let _writing = self.writing();
        let first = {
            let mut state = self.write();
            let first = state.items.len();
            state.items.extend(batch.iter().map(|(key, vector)| Item { key: *key, vector: vector.clone() }));
            if first == 0 {
                state.link(0);
            }
            first
        };
        {
            let state = self.read();
            self.link_from(&state, first.max(1).min(state.items.len()));
        }
        let updated = {
            let mut state = self.write();
            let numbers = (first..).zip(batch).filter_map(|(number, (key, _))| state.numbers.insert(*key, number));
            numbers.count()
        };
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
        let deleted = {
            let mut state = self.write();
            keys.iter().filter(|key| state.numbers.remove(key).is_some()).count()
        };
        self.tidy();
        deleted
    }

    fn search(&self, search: &Search<'_>, hits: &mut Vec<Hit>) -> Result<(), EngineError> {
        self.check(search.vector)?;
        hits.clear();
        let state = self.read();
        let live = state.numbers.len();
        let matches = search.filter.map_or(live, |filter| live.min(filter.len() as usize));
        if search.k == 0 || matches == 0 {
            return Ok(());
        }
        if search.exact || is_few(matches, live, search.filter) {
            self.scan(&state, search, hits);
        } else {
            self.walk(&state, search, matches, hits);
            if hits.len() < search.k.min(matches) {
                self.scan(&state, search, hits);
            }
        }
        hits.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.key.cmp(&b.key)));
        if let Some(last) = hits.get(search.k - 1).map(|hit| hit.distance) {
            let ties = hits[search.k..].iter().take(TIES_MAX).take_while(|hit| hit.distance == last);
            let kept = search.k + ties.count();
            hits.truncate(kept);
        }
        Ok(())
    }

    fn vector(&self, key: Key) -> Option<Vec<f32>> {
        self.read().item(key).map(|item| item.vector.components().to_vec())
    }

    fn compact(&self) {
        let _writing = self.writing();
        if self.read().tombstones() > 0 {
            self.rebuild();
        }
    }

    fn reachable(&self) -> usize {
        // No item is in the graph and not yet known, or the other way round, while nobody writes.
        let _writing = self.writing();
        reach::count(&self.read())
    }

    fn stats(&self) -> Stats {
        let state = self.read();
        // The graph keeps a vector of its own, and per link a pointer to a pair of a pointer and a distance.
        let vector_bytes = 2 * self.dimension * size_of::<f32>();
        let link_bytes = size_of::<usize>() + 4 * size_of::<usize>();
        let memory_bytes = state.items.len() * (vector_bytes + 2 * self.options.m * link_bytes);
        Stats { live: state.numbers.len(), deleted: state.tombstones(), unindexed: 0, memory_bytes }
    }

    fn save(&self, to: &mut dyn Write) -> Result<(), EngineError> {
        let _writing = self.writing();
        snapshot::write(self, &self.read(), to)
    }

    fn load(from: &mut dyn Read, threads: usize) -> Result<Self, EngineError> {
        snapshot::read(from, threads)
    }
}
