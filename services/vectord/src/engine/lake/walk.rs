//! Walking the graph: Malkov & Yashunin, algorithms 2 and 5.

use super::Lake;
use super::graph::Entry;
use super::query::Query;
use super::scratch::{Candidate, Scratch, Slot};
use super::seats::Pin;

impl Lake {
    /// Goes down from the entry to the best slot on the level above `level`, greedily.
    pub(super) fn descend(
        &self,
        pin: &Pin<'_>,
        scratch: &mut Scratch,
        query: &Query,
        entry: Entry,
        level: usize,
    ) -> Candidate {
        self.vectors.distances(pin, query, &[entry.slot], &mut scratch.distances);
        let mut best = Candidate::new(scratch.distances[0], entry.slot);
        for level in (level + 1..=entry.level).rev() {
            loop {
                scratch.batch.clear();
                for slot in self.graph.neighbours(level, best.slot()) {
                    self.vectors.prefetch(pin, slot);
                    scratch.batch.push(slot);
                }
                self.vectors.distances(pin, query, &scratch.batch, &mut scratch.distances);
                let found = scratch
                    .batch
                    .iter()
                    .zip(&scratch.distances)
                    .map(|(slot, distance)| Candidate::new(*distance, *slot))
                    .min();
                match found {
                    Some(found) if found < best => best = found,
                    _ => break,
                }
            }
        }
        best
    }

    /// Leaves in the scratch's pool the `ef` nearest slots on a level that a best-first walk finds,
    /// slots that have lost their key included: they hold the graph together until they are unlinked.
    pub(super) fn walk(
        &self,
        pin: &Pin<'_>,
        scratch: &mut Scratch,
        query: &Query,
        start: Candidate,
        level: usize,
        ef: usize,
    ) {
        let Scratch { visited, pool, batch, distances, .. } = scratch;
        visited.reset(self.space.slots_used() as usize);
        visited.insert(start.slot());
        pool.reset(ef);
        pool.push(start);
        while let Some(slot) = pool.pop() {
            batch.clear();
            for slot in self.graph.neighbours(level, slot) {
                if visited.insert(slot) {
                    self.vectors.prefetch(pin, slot);
                    batch.push(slot);
                }
            }
            if let Some(next) = pool.peek() {
                crate::engine::simd::prefetch(self.graph.list(level, next));
            }
            self.vectors.distances(pin, query, batch, distances);
            for (slot, distance) in batch.iter().zip(distances.iter()) {
                pool.push(Candidate::new(*distance, *slot));
            }
        }
    }

    /// Whether a slot's item can be answered, under its present slot or this one.
    #[inline]
    pub(super) fn is_current(&self, slot: Slot) -> bool {
        self.space.holds(slot)
    }
}
