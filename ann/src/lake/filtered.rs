//! Walking under a filter.

use std::cmp::Reverse;

use roaring::RoaringBitmap;

use super::Lake;
use super::query::Query;
use super::scratch::{Candidate, Scratch, Slot};
use super::seats::Pin;

/// Matches of the filter that a two-hop walk starts from besides the entry: where matches lie together,
/// far from the query, the entry's surroundings hold none.
const SEEDS: u64 = 32;
/// Matches scored per expansion of a two-hop walk.
const TWO_HOP_MAX: usize = 32;

impl Lake {
    /// Leaves the nearest `ef` slots that match in the pool. With `two_hop`, slots that do not match are
    /// stepped over to their neighbours, and only matches are scored.
    pub(super) fn walk_filtered(
        &self,
        pin: &Pin<'_>,
        scratch: &mut Scratch,
        query: &Query,
        filter: &RoaringBitmap,
        ef: usize,
        two_hop: bool,
    ) {
        let Some(entry) = self.graph.entry() else { return scratch.pool.reset(0) };
        self.descend(pin, scratch, query, entry, 0, ef);
        let matches = |slot: Slot| self.matches(slot, Some(filter));
        let Scratch { visited, pool, frontier, starts, batch, distances, .. } = scratch;
        visited.reset(self.space.slots_used() as usize);
        pool.reset(ef);
        frontier.clear();
        for start in starts.iter() {
            frontier.push(Reverse(*start));
            visited.insert(start.slot());
            if matches(start.slot()) {
                pool.push(*start);
            }
        }
        if two_hop {
            batch.clear();
            self.seeds(filter, batch);
            batch.retain(|slot| visited.insert(*slot));
            self.vectors.distances(pin, query, batch, distances);
            for (slot, distance) in batch.iter().zip(distances.iter()) {
                let candidate = Candidate::new(*distance, *slot);
                pool.push(candidate);
                frontier.push(Reverse(candidate));
            }
        }
        while let Some(Reverse(candidate)) = frontier.pop() {
            if candidate > pool.bound() {
                break;
            }
            batch.clear();
            for slot in self.graph.neighbours(0, candidate.slot()) {
                if !visited.insert(slot) {
                    continue;
                }
                if !two_hop || matches(slot) {
                    batch.push(slot);
                } else if batch.len() < TWO_HOP_MAX {
                    for beyond in self.graph.neighbours(0, slot) {
                        if matches(beyond) && visited.insert(beyond) {
                            batch.push(beyond);
                        }
                    }
                }
            }
            batch.iter().for_each(|slot| self.vectors.prefetch(pin, *slot));
            self.vectors.distances(pin, query, batch, distances);
            for (slot, distance) in batch.iter().zip(distances.iter()) {
                let candidate = Candidate::new(*distance, *slot);
                if candidate < pool.bound() {
                    frontier.push(Reverse(candidate));
                    if two_hop || matches(*slot) {
                        pool.push(candidate);
                    }
                }
            }
        }
    }

    /// Slots of matches, evenly out of all of them.
    fn seeds(&self, filter: &RoaringBitmap, slots: &mut Vec<Slot>) {
        let count = filter.len();
        let keys = (0..SEEDS.min(count)).filter_map(|seed| filter.select((seed * count / SEEDS.min(count)) as u32));
        slots.extend(keys.filter_map(|key| self.space.slot(key)));
    }
}
