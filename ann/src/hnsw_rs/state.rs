//! A graph, and which of its numbers are items that searches may find.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ::hnsw_rs::prelude::{Distance, Hnsw};

use crate::simd::Kernels;
use crate::{Key, Metric, Options, Vector};

/// Layers and items that the graph reckons with; it grows beyond the second.
const LAYERS: usize = 16;
const ITEMS_EXPECTED: usize = 10_000;

/// What is searched until the graph is built again.
pub(super) struct State {
    pub(super) graph: Hnsw<'static, f32, Measure>,
    table: RwLock<Table>,
}

/// Locked for moments: by writers to add or take out some items, by searches to look some up.
#[derive(Default)]
pub(super) struct Table {
    /// By number.
    items: Vec<Arc<Item>>,
    /// A tree: a hash table that grows has those wait who look.
    numbers: BTreeMap<Key, usize>,
}

pub(super) struct Item {
    pub(super) key: Key,
    pub(super) vector: Vector,
}

pub(super) struct Measure {
    metric: Metric,
    kernels: Kernels,
}

impl Distance<f32> for Measure {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        self.metric.measure(&self.kernels, a, b)
    }
}

impl State {
    /// Of these items, each with a key of its own.
    pub(super) fn of(metric: Metric, kernels: Kernels, options: Options, items: Vec<Arc<Item>>) -> Self {
        let graph = Hnsw::new(options.m, ITEMS_EXPECTED, LAYERS, options.ef_construction, Measure { metric, kernels });
        let state = State { graph, table: RwLock::default() };
        state.add(&items, options.threads);
        state
    }

    pub(super) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_alone(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds items, linked first; how many have replaced others. The caller is the one who writes.
    pub(super) fn add(&self, items: &[Arc<Item>], threads: usize) -> usize {
        let first = {
            let mut table = self.table_alone();
            table.items.extend(items.iter().cloned());
            table.items.len() - items.len()
        };
        self.link(first, items, threads);
        let mut table = self.table_alone();
        let replaced = (first..).zip(items).filter_map(|(number, item)| table.numbers.insert(item.key, number));
        replaced.count()
    }

    fn link(&self, first: usize, items: &[Arc<Item>], threads: usize) {
        let link = |at: usize| self.graph.insert_slice((items[at].vector.components(), first + at));
        // Alone: the graph does not take its first item and another one at once.
        let alone = usize::from(first == 0).min(items.len());
        (0..alone).for_each(link);
        let next = AtomicUsize::new(alone);
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= items.len() {
                    break;
                }
                link(at);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(items.len() - alone) {
                scope.spawn(work);
            }
            work();
        });
    }

    /// Takes items out; how many of the keys were there.
    pub(super) fn remove(&self, keys: &[Key]) -> usize {
        let mut table = self.table_alone();
        keys.iter().filter(|key| table.numbers.remove(key).is_some()).count()
    }

    /// All that searches may find.
    pub(super) fn present(&self) -> Vec<Arc<Item>> {
        let table = self.table();
        (0..table.items.len()).filter_map(|number| table.present(number)).cloned().collect()
    }
}

impl Table {
    /// Those that were replaced or taken out are among them.
    pub(super) fn numbers(&self) -> usize {
        self.items.len()
    }

    pub(super) fn live(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn tombstones(&self) -> usize {
        self.items.len() - self.numbers.len()
    }

    /// The item of a number, if searches may find it.
    pub(super) fn present(&self, number: usize) -> Option<&Arc<Item>> {
        self.items.get(number).filter(|item| self.numbers.get(&item.key) == Some(&number))
    }

    pub(super) fn item(&self, key: Key) -> Option<&Arc<Item>> {
        self.numbers.get(&key).and_then(|number| self.items.get(*number))
    }
}
