//! Walking the graph: Malkov & Yashunin, algorithms 2 and 5.

use super::Lake;
use super::graph::Entry;
use super::query::Query;
use super::scratch::{Candidate, Scratch, Slot};
use super::seats::Pin;

/// A walk starts from one slot per so many candidates …
const EF_PER_START: usize = 4;
/// … and from this many at most.
const STARTS_MAX: usize = 16;

impl Lake {
    /// Goes down from the entry, and leaves the best slots on the level above `level` as starts for `ef`
    /// candidates there: several, since one may lie in a neighbourhood that no short way leads out of.
    pub(super) fn descend(
        &self,
        pin: &Pin<'_>,
        scratch: &mut Scratch,
        query: &Query,
        entry: Entry,
        level: usize,
        ef: usize,
    ) {
        self.vectors.distances(pin, query, &[entry.slot], &mut scratch.distances);
        scratch.starts.clear();
        scratch.starts.push(Candidate::new(scratch.distances[0], entry.slot));
        let width = (ef / EF_PER_START).clamp(1, STARTS_MAX);
        for level in (level + 1..=entry.level).rev() {
            self.walk(pin, scratch, query, level, width);
            scratch.start_from_pool(width);
        }
    }

    /// Leaves in the scratch's pool the `ef` nearest slots on a level that a best-first walk finds from the starts,
    /// slots that have lost their key included: they hold the graph together until they are unlinked.
    pub(super) fn walk(&self, pin: &Pin<'_>, scratch: &mut Scratch, query: &Query, level: usize, ef: usize) {
        let Scratch { visited, pool, batch, distances, starts, .. } = scratch;
        visited.reset(self.space.slots_used() as usize);
        pool.reset(ef);
        for start in starts.iter() {
            visited.insert(start.slot());
            pool.push(*start);
        }
        while let Some(slot) = pool.pop() {
            batch.clear();
            for slot in self.graph.neighbours(level, slot) {
                if visited.insert(slot) {
                    self.vectors.prefetch(pin, slot);
                    batch.push(slot);
                }
            }
            // Most likely the next one, and surely one of the next.
            if let Some(next) = pool.peek() {
                crate::simd::prefetch(self.graph.list(level, next));
            }
            self.vectors.distances(pin, query, batch, distances);
            for (slot, distance) in batch.iter().zip(distances.iter()) {
                pool.push(Candidate::new(*distance, *slot));
            }
            if let Some(next) = pool.peek() {
                crate::simd::prefetch(self.graph.list(level, next));
            }
        }
    }

    /// Whether a slot's item can be answered, under its present slot or this one.
    #[inline]
    pub(super) fn is_current(&self, slot: Slot) -> bool {
        self.space.holds(slot)
    }
}
