//! Answering: walk by bytes, decide by floats.

use roaring::RoaringBitmap;

use super::Lake;
use super::plan::Plan;
use super::query::Query;
use super::scratch::{Candidate, Scratch, Slot};
use super::seats::{Pin, Sitting};
use crate::engine::{Hit, Key, Search};

/// Candidates measured by floats: this many times `k` …
const RESCORED_PER_RESULT: usize = 2;
/// … and this many more.
const RESCORED_BESIDES: usize = 16;
/// Rows asked for ahead of their use.
const AHEAD: usize = 4;

impl Lake {
    /// The answer to a valid search.
    pub(super) fn answer(&self, search: &Search<'_>, hits: &mut Vec<Hit>) {
        hits.clear();
        let matches = search.filter.map_or(self.space.live(), |filter| self.space.live().min(filter.len() as usize));
        if search.k == 0 || matches == 0 {
            return;
        }
        let mut sitting = self.seats.sit();
        let Sitting { pin, scratch } = &mut sitting;
        let ef = search.ef.max(search.k);
        let plan =
            if search.exact { Plan::Exact } else { Plan::of(matches, self.space.live(), search.filter.is_some(), ef) };
        if plan == Plan::Exact {
            return self.scan_exact(pin, scratch, search, hits);
        }
        let mut query = std::mem::take(&mut scratch.query);
        self.vectors.query(&mut query, search.vector.components());
        match (plan, search.filter) {
            (Plan::Scan, Some(filter)) => self.scan(pin, scratch, &query, filter, ef),
            (_, Some(filter)) => self.walk_filtered(pin, scratch, &query, filter, ef, plan == Plan::TwoHop),
            (_, None) => self.nearest(pin, scratch, &query, ef),
        }
        scratch.query = query;
        self.rescore(pin, scratch, search, hits);
        // The graph may hide what is there (few matches far apart, many just deleted): then look at all.
        if hits.len() < search.k.min(matches) {
            self.scan_exact(pin, scratch, search, hits);
        }
    }

    /// Leaves the nearest `ef` slots in the pool.
    fn nearest(&self, pin: &Pin<'_>, scratch: &mut Scratch, query: &Query, ef: usize) {
        let Some(entry) = self.graph.entry() else { return scratch.pool.reset(0) };
        // Deleted slots still take places in the pool: as many more are wanted.
        let (live, lost) = (self.space.live().max(1), self.space.lost());
        let ef = ef + (ef * lost.min(live)).div_ceil(live);
        let start = self.descend(pin, scratch, query, entry, 0);
        self.walk(pin, scratch, query, start, 0, ef);
    }

    /// Measures the best of the pool by floats. An item met under a slot that it has left is measured
    /// where it is now, so a replaced vector is never missed.
    fn rescore(&self, pin: &Pin<'_>, scratch: &Scratch, search: &Search<'_>, hits: &mut Vec<Hit>) {
        let wanted = search.k * RESCORED_PER_RESULT + RESCORED_BESIDES;
        let entries = scratch.pool.entries();
        for entry in entries.iter().take(AHEAD) {
            self.vectors.prefetch_exact(pin, entry.slot());
        }
        for (at, entry) in entries.iter().enumerate() {
            if hits.len() == wanted {
                break;
            }
            if let Some(ahead) = entries.get(at + AHEAD) {
                self.vectors.prefetch_exact(pin, ahead.slot());
            }
            let Some(key) = self.space.key(entry.slot()) else { continue };
            let Some(slot) = self.space.slot(key) else { continue };
            hits.push(Hit { key, distance: self.vectors.distance_exact(pin, search.vector.components(), slot) });
        }
        hits.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.key.cmp(&b.key)));
        hits.dedup_by_key(|hit| hit.key);
        hits.truncate(search.k);
    }

    /// Compares with every item that may be answered, by floats.
    fn scan_exact(&self, pin: &Pin<'_>, scratch: &mut Scratch, search: &Search<'_>, hits: &mut Vec<Hit>) {
        let Scratch { pool, batch, .. } = scratch;
        // Here the pool holds keys, not slots: they order ties.
        pool.reset(search.k);
        let mut measure = |key: Key, slot: Slot| {
            let distance = self.vectors.distance_exact(pin, search.vector.components(), slot);
            pool.push(Candidate::new(distance, key));
        };
        self.each_match(batch, search.filter, |slot| self.vectors.prefetch_exact(pin, slot), &mut measure);
        hits.clear();
        hits.extend(pool.entries().iter().map(|entry| Hit { key: entry.slot(), distance: entry.distance() }));
    }

    /// Leaves the nearest `ef` of the filter's slots in the pool, compared one by one, by bytes.
    fn scan(&self, pin: &Pin<'_>, scratch: &mut Scratch, query: &Query, filter: &RoaringBitmap, ef: usize) {
        let Scratch { pool, batch, distances, .. } = scratch;
        pool.reset(ef);
        let mut keys = filter.iter();
        loop {
            batch.clear();
            batch.extend(keys.by_ref().take(Self::SCANNED_AT_ONCE).filter_map(|key| self.space.slot(key)));
            if batch.is_empty() && keys.len() == 0 {
                break;
            }
            batch.iter().for_each(|slot| self.vectors.prefetch(pin, *slot));
            self.vectors.distances(pin, query, batch, distances);
            for (slot, distance) in batch.iter().zip(distances.iter()) {
                pool.push(Candidate::new(*distance, *slot));
            }
        }
    }

    const SCANNED_AT_ONCE: usize = 32;

    /// Calls `measure` for every item that may be answered, having called `ahead` a little before.
    fn each_match(
        &self,
        batch: &mut Vec<Slot>,
        filter: Option<&RoaringBitmap>,
        ahead: impl Fn(Slot),
        measure: &mut impl FnMut(Key, Slot),
    ) {
        let used = self.space.keys_used();
        let mut keys: Box<dyn Iterator<Item = Key>> = match filter {
            Some(filter) => Box::new(filter.iter().take_while(move |key| *key < used)),
            None => Box::new(0..used),
        };
        // Pairs of key and slot, flat.
        loop {
            batch.clear();
            let mut seen = 0;
            for key in keys.by_ref().take(Self::SCANNED_AT_ONCE) {
                seen += 1;
                if let Some(slot) = self.space.slot(key) {
                    ahead(slot);
                    batch.extend([key, slot]);
                }
            }
            if seen == 0 {
                break;
            }
            for pair in batch.as_chunks::<2>().0 {
                measure(pair[0], pair[1]);
            }
        }
    }
}
