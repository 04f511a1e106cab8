//! `lake`: a graph of neighbours (HNSW: Malkov & Yashunin, arXiv 1603.09320) over slots that are recycled.
//!
//! What it does that the paper leaves open:
//!
//! - walks compare vectors of bytes; what they find is measured again by floats (`query`, `search`);
//! - a new vector is scanned until it is linked, so that writing it does not wait for linking (`tail`);
//! - searches take no lock and never wait for a writer: lists are atomics, vectors are written before
//!   they are published and reused only when nobody can be looking (`graph`, `vectors`, `seats`);
//! - a deleted slot is unlinked, its neighbours are linked anew, its bytes zeroed, its place used again
//!   (`sweep`), and every live item can be reached (`reach`, arXiv 2407.07871);
//! - filters are planned: few matches are compared one by one, many are walked to, and between the two a
//!   walk steps over what does not match (`plan`, `filtered`, after ACORN, arXiv 2403.04871).
//!
//! Invariants: every neighbour in a list is a slot whose vector is whole; after a sweep or the mending of
//! reach, every live item that does not wait is reachable from the entry; a search returns
//! at least `min(k, matches)` hits.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use crate::Options;
use crate::{Engine, EngineError, Hit, Inserted, KEYS_MAX, Key, Metric, Search, Stats, Vector};
use graph::Graph;
use scratch::Slot;
use seats::Seats;
use space::Space;
use vectors::{Fresh, Vectors};

mod filtered;
mod graph;
mod link;
mod plan;
mod query;
mod reach;
mod scan;
mod scratch;
mod search;
mod seats;
mod select;
mod slab;
mod snapshot;
mod space;
mod sweep;
mod tail;
mod vectors;
mod walk;

#[cfg(test)]
mod tests;

/// A sweep looks at every list: worth it when one in so many items is lost …
const SWEEP_PER_LOST: usize = 16;
/// … and, where nobody calls `index`, overdue at one in so many.
const OVERDUE_PER_LOST: usize = 4;
/// Reachability is looked after when one in so many items has been linked since.
const REACH_PER_LINKED: usize = 8;
/// Slots linked between two looks at what else is owed, at least.
const PART_MIN: usize = 64;
/// Fewer slots than this are not worth another thread.
const SLOTS_PER_THREAD_MIN: usize = 64;

/// See the module.
pub struct Lake {
    options: Options,
    vectors: Vectors,
    graph: Graph,
    space: Space,
    seats: Seats,
    /// Whoever links shares it; whoever rewrites or reads all lists has it alone. No search takes it, and an
    /// insert only where it is free. Taken before `content` where both are.
    lists: RwLock<()>,
    /// Inserts and deletes share it; whoever needs all items at one moment has it alone.
    content: RwLock<()>,
    /// Held by the one who links what waits.
    indexing: Mutex<()>,
    /// Held while lost slots are taken out of the graph. Taken after `lists`.
    sweeping: Mutex<()>,
    /// Slots linked since reachability was last looked after.
    linked: AtomicUsize,
}

/// A slot given out for an item.
struct Place<'a> {
    key: Key,
    vector: &'a Vector,
    fresh: Fresh,
}

impl Lake {
    /// Without items.
    ///
    /// # Errors
    /// An option out of its range.
    pub fn new(metric: Metric, dimension: usize, options: Options) -> Result<Self, EngineError> {
        options.check(dimension)?;
        Ok(Self {
            options,
            vectors: Vectors::new(metric, dimension),
            graph: Graph::new(options.m),
            space: Space::new(),
            seats: Seats::new(),
            lists: RwLock::new(()),
            content: RwLock::new(()),
            indexing: Mutex::new(()),
            sweeping: Mutex::new(()),
            linked: AtomicUsize::new(0),
        })
    }

    /// The instruction set that distances are computed with.
    pub fn instructions(&self) -> &'static str {
        self.vectors.kernels().name()
    }

    fn lists_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.lists.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lists_shared(&self) -> RwLockReadGuard<'_, ()> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn content_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn content_shared(&self) -> RwLockReadGuard<'_, ()> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, vector: &Vector) -> Result<(), EngineError> {
        vector.check(self.vectors.metric(), self.vectors.dimension())
    }

    /// Gives out slots, in order.
    fn places<'a>(&self, batch: impl Iterator<Item = (Key, &'a Vector)>) -> Result<Vec<Place<'a>>, EngineError> {
        let mut free = self.space.free();
        let levels: Vec<_> = batch.map(|(key, vector)| (key, vector, self.graph.level(key))).collect();
        // All room first, counted as if nothing were free: a failure leaves nothing half done.
        let rows: usize = levels.iter().map(|(_, _, level)| level).sum();
        let (slots_most, upper_most) =
            (self.space.slots_used() as usize + levels.len(), free.upper_used as usize + rows);
        let most = |count: usize| {
            u32::try_from(count)
                .ok()
                .filter(|count| *count < KEYS_MAX)
                .ok_or_else(|| EngineError::Memory(std::io::ErrorKind::OutOfMemory.into()))
        };
        let (slots_most, upper_most) = (most(slots_most)?, most(upper_most)?);
        let reserved = self
            .vectors
            .reserve(slots_most)
            .and_then(|()| self.graph.reserve(slots_most, upper_most))
            .and_then(|()| self.space.reserve_slots(slots_most));
        reserved.map_err(EngineError::Memory)?;
        for (key, _, _) in &levels {
            self.space.reserve_key(*key).map_err(EngineError::Memory)?;
        }
        Ok(levels
            .into_iter()
            .map(|(key, vector, level)| Place { key, vector, fresh: self.give_out(&mut free, level) })
            .collect())
    }

    fn give_out(&self, free: &mut space::Free, level: usize) -> Fresh {
        let slot = free.slots.pop().unwrap_or_else(|| {
            let slot = self.space.slots_used();
            self.space.set_slots_used(slot + 1);
            slot
        });
        if let Some(at) = level.checked_sub(1) {
            let head = free.upper[at].pop().unwrap_or_else(|| {
                let head = free.upper_used;
                free.upper_used += level as u32;
                head
            });
            self.graph.set_head(slot, head);
        }
        Fresh::assume(slot)
    }

    /// Runs the same work on as many threads as it is worth; this one is among them.
    fn on_threads(&self, slots: usize, work: impl Fn() + Sync) {
        let threads = self.options.threads.min(slots / SLOTS_PER_THREAD_MIN).max(1);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(&work);
            }
            work();
        });
    }

    /// Links slots that wait.
    fn link_all(&self, slots: &[Slot]) {
        let next = AtomicUsize::new(0);
        self.on_threads(slots.len(), || {
            let mut sitting = self.seats.sit();
            while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
                // It may have been deleted since it was listed.
                if let Some(key) = self.space.key(*slot).filter(|_| self.space.waits(*slot)) {
                    self.link(&mut sitting, *slot, self.graph.level(key));
                    self.space.linked(*slot);
                }
            }
        });
        self.linked.fetch_add(slots.len(), Ordering::Relaxed);
    }

    fn waiting(&self, at_most: usize) -> Vec<Slot> {
        let (mut slots, mut batch) = (Vec::new(), Vec::new());
        self.space.tail.each_word(self.space.slots_used(), &mut batch, |batch| {
            let waiting = batch.iter().copied().filter(|slot| self.space.waits(*slot));
            slots.extend(waiting.take(at_most - slots.len()));
            slots.len() < at_most
        });
        slots
    }

    fn sweeping(&self) -> MutexGuard<'_, ()> {
        self.sweeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owes_a_sweep(&self, sweep_per_lost: usize) -> bool {
        self.space.lost() * sweep_per_lost > self.space.live()
    }

    /// Before items take more memory: what deletes have left is given back to them, where there is much of it. Who
    /// links is not waited for: that takes long.
    fn reclaim(&self) {
        // Another one's sweep ends soon.
        drop(self.sweeping());
        if self.owes_a_sweep(SWEEP_PER_LOST)
            && let Ok(_lists) = self.lists.try_write()
        {
            self.sweep();
        }
    }

    /// What is owed after some writes.
    fn tidy(&self, sweep_per_lost: usize) {
        let sweep = self.owes_a_sweep(sweep_per_lost);
        let mend = self.linked.load(Ordering::Relaxed) * REACH_PER_LINKED > self.space.live();
        if sweep || mend {
            let _lists = self.lists_alone();
            self.linked.store(0, Ordering::Relaxed);
            if sweep {
                self.sweep();
            } else {
                self.mend_reach();
            }
        }
    }
}

impl Engine for Lake {
    fn insert(&self, batch: &[(Key, Vector)]) -> Result<Inserted, EngineError> {
        for (key, vector) in batch {
            self.check(vector)?;
            if *key >= KEYS_MAX {
                return Err(EngineError::Key(*key));
            }
        }
        if self.space.free().slots.len() < batch.len() && self.owes_a_sweep(SWEEP_PER_LOST) {
            self.reclaim();
        }
        let _content = self.content_shared();
        self.recycle();
        let places = self.places(batch.iter().map(|(key, vector)| (*key, vector)))?;
        let replaced = places.into_iter().filter_map(|mut place| {
            self.vectors.write(&mut place.fresh, place.vector.components());
            self.space.publish(place.key, place.fresh).then_some(())
        });
        let updated = replaced.count();
        Ok(Inserted { added: batch.len() - updated, updated })
    }

    fn unindexed(&self) -> usize {
        self.space.waiting()
    }

    fn index(&self, at_most: usize) -> Result<usize, EngineError> {
        let _indexing = self.indexing.lock().unwrap_or_else(PoisonError::into_inner);
        // What deletes have left is given back first: what comes meanwhile takes it before it takes more memory.
        self.tidy(SWEEP_PER_LOST);
        let mut left = at_most;
        loop {
            // By parts, so that reach is looked after before much of it can be lost.
            let part = left.min((self.space.live() / REACH_PER_LINKED).max(PART_MIN));
            let slots = self.waiting(part);
            {
                let _lists = self.lists_shared();
                self.link_all(&slots);
            }
            self.tidy(SWEEP_PER_LOST);
            left -= slots.len();
            if slots.is_empty() || left == 0 {
                return Ok(self.unindexed());
            }
        }
    }

    fn delete(&self, keys: &[Key]) -> usize {
        let deleted = {
            let _content = self.content_shared();
            keys.iter().filter(|key| self.space.remove(**key)).count()
        };
        self.tidy(OVERDUE_PER_LOST);
        deleted
    }

    fn search(&self, search: &Search<'_>, hits: &mut Vec<Hit>) -> Result<(), EngineError> {
        self.check(search.vector)?;
        self.answer(search, hits);
        Ok(())
    }

    fn vector(&self, key: Key) -> Option<Vec<f32>> {
        let sitting = self.seats.sit();
        self.space.slot(key).map(|slot| self.vectors.floats(&sitting.pin, slot).to_vec())
    }

    fn compact(&self) {
        let _lists = self.lists_alone();
        self.sweep();
        self.mend_reach();
        self.recycle();
    }

    fn reachable(&self) -> usize {
        let _lists = self.lists_alone();
        self.count_reachable()
    }

    fn stats(&self) -> Stats {
        let slots = self.space.slots_used() as usize;
        let upper = self.space.free().upper_used as usize;
        let per_slot = self.vectors.row_bytes() + self.graph.row_bytes() + self.space.row_bytes();
        let memory_bytes = slots * per_slot + upper * self.graph.upper_row_bytes() + self.seats.memory_bytes();
        Stats { live: self.space.live(), deleted: self.space.lost(), unindexed: self.space.waiting(), memory_bytes }
    }

    fn save(&self, to: &mut dyn Write) -> Result<(), EngineError> {
        let _lists = self.lists_alone();
        self.sweep();
        let _content = self.content_alone();
        self.write_snapshot(to)
    }

    fn load(from: &mut dyn Read, threads: usize) -> Result<Self, EngineError> {
        snapshot::read(from, threads)
    }
}
