//! `lake`: a graph of neighbours (HNSW: Malkov & Yashunin, arXiv 1603.09320) over slots that are recycled.
//!
//! What it does that the paper leaves open:
//!
//! - walks compare vectors of bytes; what they find is measured again by floats (`query`, `search`);
//! - searches take no lock and never wait for a writer: lists are atomics, vectors are written before
//!   they are published and reused only when nobody can be looking (`graph`, `vectors`, `seats`);
//! - a deleted slot is unlinked, its neighbours are linked anew, its bytes zeroed, its place used again
//!   (`sweep`), and every live item can be reached (`reach`, arXiv 2407.07871);
//! - filters are planned: few matches are compared one by one, many are walked to, and between the two a
//!   walk steps over what does not match (`plan`, `filtered`, after ACORN, arXiv 2403.04871).
//!
//! Invariants: every neighbour in a list is a slot whose vector is whole; outside [`Engine::insert`] and
//! [`Engine::delete`] calls, what is live and swept is reachable from the entry; a search returns
//! `min(k, matches)` hits.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Engine, EngineError, Hit, Inserted, KEYS_MAX, Key, Metric, Search, Stats, Vector};
use graph::Graph;
use seats::Seats;
use space::Space;
use vectors::{Fresh, Vectors};

mod filtered;
mod graph;
mod link;
mod plan;
mod query;
mod reach;
mod scratch;
mod search;
mod seats;
mod select;
mod slab;
mod snapshot;
mod space;
mod sweep;
mod vectors;
mod walk;

#[cfg(test)]
mod tests;

/// A sweep looks at every list: worth it when one in so many items is lost.
const SWEEP_PER_LOST: usize = 16;
/// Reachability is looked after when one in so many items is new.
const REACH_PER_INSERTED: usize = 8;
/// Fewer slots than this are not worth another thread.
const SLOTS_PER_THREAD_MIN: usize = 64;

/// How a graph is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Neighbours chosen for a new item: 4 to 128. Lists hold twice as many on the lowest level.
    pub m: usize,
    /// Candidates that they are chosen from: 1 to 10,000.
    pub ef_construction: usize,
    /// Threads that a batch is inserted with, at most.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { m: 16, ef_construction: 200, threads: 1 }
    }
}

/// See the module.
pub struct Lake {
    options: Options,
    vectors: Vectors,
    graph: Graph,
    space: Space,
    seats: Seats,
    /// Inserts and deletes share it; whoever rewrites or reads everything has it alone. No search does.
    maintenance: RwLock<()>,
    inserted: AtomicUsize,
}

/// A slot given out for an item.
struct Place<'a> {
    key: Key,
    vector: &'a Vector,
    fresh: Fresh,
    level: usize,
}

impl Lake {
    /// Without items.
    ///
    /// # Errors
    /// An option out of its range.
    pub fn new(metric: Metric, dimension: usize, options: Options) -> Result<Self, EngineError> {
        let check = |good: bool, what, range, found| {
            if good { Ok(()) } else { Err(EngineError::Option { what, range, found }) }
        };
        check((1..=Vector::DIMENSION_MAX).contains(&dimension), "dimension", "1 to 8192", dimension)?;
        check((4..=128).contains(&options.m), "m", "4 to 128", options.m)?;
        check(
            (1..=10_000).contains(&options.ef_construction),
            "ef_construction",
            "1 to 10000",
            options.ef_construction,
        )?;
        check((1..=256).contains(&options.threads), "threads", "1 to 256", options.threads)?;
        Ok(Self {
            options,
            vectors: Vectors::new(metric, dimension),
            graph: Graph::new(options.m),
            space: Space::new(),
            seats: Seats::new(),
            maintenance: RwLock::new(()),
            inserted: AtomicUsize::new(0),
        })
    }

    /// Live items that a walk from the entry can get to: the number of live items, or something is wrong.
    pub fn reachable(&self) -> usize {
        let _alone = self.alone();
        self.count_reachable()
    }

    /// The instruction set that distances are computed with.
    pub fn instructions(&self) -> &'static str {
        self.vectors.kernels().name()
    }

    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.maintenance.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.maintenance.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, vector: &Vector) -> Result<(), EngineError> {
        let (expected, found) = (self.vectors.dimension(), vector.components().len());
        if expected != found {
            return Err(EngineError::Dimension { expected, found });
        }
        let (expected, found) = (self.vectors.metric(), vector.metric());
        if expected != found { Err(EngineError::Metric { expected, found }) } else { Ok(()) }
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
            .map(|(key, vector, level)| Place { key, vector, level, fresh: self.give_out(&mut free, level) })
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

    fn put(&self, places: Vec<Place<'_>>) -> usize {
        let replaced = AtomicUsize::new(0);
        let next = AtomicU32::new(0);
        let count = places.len();
        let places: Vec<_> = places.into_iter().map(|place| std::sync::Mutex::new(Some(place))).collect();
        self.on_threads(count, || {
            let mut sitting = self.seats.sit();
            while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                let Some(mut place) = place.lock().unwrap_or_else(PoisonError::into_inner).take() else { continue };
                self.vectors.write(&mut place.fresh, place.vector.components());
                let slot = place.fresh.slot();
                if self.space.publish(place.key, place.fresh) {
                    replaced.fetch_add(1, Ordering::Relaxed);
                }
                self.link(&mut sitting, slot, place.level);
            }
        });
        replaced.into_inner()
    }

    /// What writers owe after some writes.
    fn tidy(&self) {
        let (live, lost) = (self.space.live(), self.space.lost());
        let sweep = lost * SWEEP_PER_LOST > live;
        let mend = self.inserted.load(Ordering::Relaxed) * REACH_PER_INSERTED > live;
        if sweep || mend {
            let _alone = self.alone();
            self.inserted.store(0, Ordering::Relaxed);
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
        let replaced = {
            let _shared = self.shared();
            self.recycle();
            let places = self.places(batch.iter().map(|(key, vector)| (*key, vector)))?;
            self.put(places)
        };
        self.inserted.fetch_add(batch.len(), Ordering::Relaxed);
        self.tidy();
        Ok(Inserted { added: batch.len() - replaced, updated: replaced })
    }

    fn delete(&self, keys: &[Key]) -> usize {
        let deleted = {
            let _shared = self.shared();
            keys.iter().filter(|key| self.space.remove(**key)).count()
        };
        self.tidy();
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
        let _alone = self.alone();
        self.sweep();
        self.mend_reach();
        self.recycle();
    }

    fn stats(&self) -> Stats {
        let slots = self.space.slots_used() as usize;
        let upper = self.space.free().upper_used as usize;
        let per_slot = self.vectors.row_bytes() + self.graph.row_bytes() + self.space.row_bytes();
        let memory_bytes = slots * per_slot + upper * self.graph.upper_row_bytes() + self.seats.memory_bytes();
        Stats { live: self.space.live(), deleted: self.space.lost(), memory_bytes }
    }

    fn save(&self, to: &mut dyn Write) -> Result<(), EngineError> {
        let _alone = self.alone();
        self.sweep();
        self.write_snapshot(to)
    }

    fn load(from: &mut dyn Read, threads: usize) -> Result<Self, EngineError> {
        snapshot::read(from, threads)
    }
}
