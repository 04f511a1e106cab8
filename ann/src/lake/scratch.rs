//! Memory that one search or insert works in, kept from one to the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::query::Query;
use crate::Hit;

/// A slot's place in an index.
pub(super) type Slot = u32;

/// See the module.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) visited: Visited,
    /// The best found so far.
    pub(super) pool: Pool,
    /// Where a walk starts.
    pub(super) starts: Vec<Candidate>,
    /// The best of the slots that wait to be linked.
    pub(super) tail: Pool,
    /// What has been measured by floats.
    pub(super) measured: Vec<Hit>,
    /// What is still to be expanded, where that is more than the pool (searches with a filter).
    pub(super) frontier: BinaryHeap<Reverse<Candidate>>,
    /// Slots (or pairs of key and slot) that were found, slots about to be scored, and their distances.
    pub(super) batch: Vec<Slot>,
    pub(super) slots: Vec<Slot>,
    pub(super) distances: Vec<f32>,
    pub(super) query: Query,
    /// Neighbours chosen for a new slot, by level.
    pub(super) chosen: Vec<(usize, Slot)>,
    pub(super) selection: Selection,
}

/// What choosing neighbours works in.
#[derive(Default)]
pub(super) struct Selection {
    pub(super) candidates: Vec<Candidate>,
    pub(super) kept: Vec<Slot>,
    pub(super) slots: Vec<Slot>,
    pub(super) list: Vec<Slot>,
    pub(super) distances: Vec<f32>,
    /// The vector whose neighbours are being chosen, and one of the candidates.
    pub(super) centre: Query,
    pub(super) probe: Query,
}

impl Scratch {
    /// Makes the best of the pool the starts of the next walk.
    pub(super) fn start_from_pool(&mut self, at_most: usize) {
        self.starts.clear();
        self.starts.extend(self.pool.entries.iter().take(at_most).map(|entry| entry.unmarked()));
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.visited.stamps.capacity() + self.pool.entries.capacity() * size_of::<Candidate>()
    }
}

/// A slot with its distance, ordered by distance and then by slot, so that ties fall the same way always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate(u64);

impl Candidate {
    const EXPANDED: u64 = 1;
    const LAST: Self = Self(u64::MAX);

    pub(super) fn new(distance: f32, slot: Slot) -> Self {
        // The bits of floats, made to sort as the floats do: negative ones backwards, below the others.
        let bits = distance.to_bits();
        let sortable = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        Self(u64::from(sortable) << 32 | u64::from(slot) << 1)
    }

    pub(super) fn slot(self) -> Slot {
        (self.0 as u32) >> 1
    }

    /// As it was before it was expanded.
    pub(super) fn unmarked(self) -> Self {
        Self(self.0 & !Self::EXPANDED)
    }

    pub(super) fn distance(self) -> f32 {
        let sortable = (self.0 >> 32) as u32;
        f32::from_bits(if sortable >> 31 == 1 { sortable & !(1 << 31) } else { !sortable })
    }
}

/// The best candidates in order, up to a limit, each to be expanded once.
#[derive(Default)]
pub(super) struct Pool {
    entries: Vec<Candidate>,
    limit: usize,
    /// Everything before it has been expanded.
    next: usize,
}

impl Pool {
    pub(super) fn reset(&mut self, limit: usize) {
        self.entries.clear();
        self.entries.reserve(limit);
        self.limit = limit;
        self.next = 0;
    }

    /// A candidate at or beyond it does not get in.
    #[inline]
    pub(super) fn bound(&self) -> Candidate {
        if self.entries.len() < self.limit { Candidate::LAST } else { self.entries[self.limit - 1] }
    }

    #[inline]
    pub(super) fn push(&mut self, candidate: Candidate) {
        if candidate >= self.bound() {
            return;
        }
        let at = self.entries.partition_point(|entry| *entry < candidate);
        if self.entries.len() == self.limit {
            self.entries.pop();
        }
        self.entries.insert(at, candidate);
        self.next = self.next.min(at);
    }

    /// The best not yet expanded, marked as expanded.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Slot> {
        let entry = self.entries.get_mut(self.next)?;
        entry.0 |= Candidate::EXPANDED;
        let slot = entry.slot();
        self.next += 1;
        while self.entries.get(self.next).is_some_and(|entry| entry.0 & Candidate::EXPANDED != 0) {
            self.next += 1;
        }
        Some(slot)
    }

    /// What `pop` would return, for reading ahead.
    #[inline]
    pub(super) fn peek(&self) -> Option<Slot> {
        self.entries.get(self.next).map(|entry| entry.slot())
    }

    pub(super) fn entries(&self) -> &[Candidate] {
        &self.entries
    }
}

/// Which slots a walk has met: one byte each, stamped with the walk's number, so that the next walk
/// need not clear them.
#[derive(Default)]
pub(super) struct Visited {
    stamps: Vec<u8>,
    stamp: u8,
}

impl Visited {
    /// Forgets everything.
    pub(super) fn reset(&mut self, slots: usize) {
        if self.stamps.len() < slots {
            self.stamps.resize(slots, 0);
        }
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.stamps.fill(0);
            self.stamp = 1;
        }
    }

    /// Whether the slot is new.
    #[inline]
    pub(super) fn insert(&mut self, slot: Slot) -> bool {
        let at = slot as usize;
        if at >= self.stamps.len() {
            // Slots are added while a search runs.
            self.stamps.resize(at + 1, 0);
        }
        std::mem::replace(&mut self.stamps[at], self.stamp) != self.stamp
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn candidates_sort_as_their_distances(a in -1e38_f32..1e38, b in -1e38_f32..1e38, slots in any::<(u16, u16)>()) {
            let (x, y) = (Candidate::new(a, slots.0.into()), Candidate::new(b, slots.1.into()));
            prop_assert_eq!(x.cmp(&y), a.total_cmp(&b).then(slots.0.cmp(&slots.1)));
            prop_assert_eq!((x.distance(), x.slot()), (a, slots.0.into()));
        }

        #[test]
        fn a_pool_keeps_the_best_in_order_and_expands_each_once(distances in prop::collection::vec(0_u8..50, 1..80), limit in 1_usize..20) {
            let mut pool = Pool::default();
            pool.reset(limit);
            let mut all: Vec<Candidate> = Vec::new();
            for (slot, distance) in (0..).zip(&distances) {
                let candidate = Candidate::new(f32::from(*distance), slot);
                all.push(candidate);
                pool.push(candidate);
            }
            all.sort();
            all.truncate(limit);
            prop_assert_eq!(pool.entries(), &all[..]);
            let order: Vec<Slot> = std::iter::from_fn(|| pool.pop()).collect();
            prop_assert_eq!(order, all.iter().map(|candidate| candidate.slot()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn visits_are_forgotten_on_reset_however_often() {
        let mut visited = Visited::default();
        for _ in 0..600 {
            visited.reset(4);
            assert!(visited.insert(3) && !visited.insert(3) && visited.insert(9));
        }
    }
}
