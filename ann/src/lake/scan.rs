//! Comparing one by one: what a filter matches, and what waits to be linked.

use roaring::RoaringBitmap;

use super::Lake;
use super::query::Query;
use super::scratch::{Candidate, Scratch, Slot};
use super::seats::Pin;
use crate::Key;

/// Keys looked up before the first of their vectors is compared.
const AT_ONCE: usize = 32;

impl Lake {
    /// Leaves the nearest `count` of the slots that wait to be linked in the tail pool, by bytes.
    pub(super) fn scan_tail(
        &self,
        pin: &Pin<'_>,
        scratch: &mut Scratch,
        query: &Query,
        filter: Option<&RoaringBitmap>,
        count: usize,
    ) {
        let Scratch { tail, batch, distances, .. } = scratch;
        tail.reset(count);
        self.space.tail.each_word(self.space.slots_used(), batch, |slots| {
            self.vectors.distances(pin, query, slots, distances);
            for (slot, distance) in slots.iter().zip(distances.iter()) {
                let candidate = Candidate::new(*distance, *slot);
                // Asked last: most are beyond the bound, and this costs a look at two more tables.
                if candidate < tail.bound() && self.matches(*slot, filter) {
                    tail.push(candidate);
                }
            }
            true
        });
    }

    /// Whether the item that a slot holds or held is there and may be answered.
    #[inline]
    pub(super) fn matches(&self, slot: Slot, filter: Option<&RoaringBitmap>) -> bool {
        self.space
            .key(slot)
            .is_some_and(|key| filter.is_none_or(|filter| filter.contains(key)) && self.space.slot(key).is_some())
    }

    /// Leaves the nearest `count` of the filter's slots in the pool, by bytes.
    pub(super) fn scan(
        &self,
        pin: &Pin<'_>,
        scratch: &mut Scratch,
        query: &Query,
        filter: &RoaringBitmap,
        count: usize,
    ) {
        let Scratch { pool, batch, slots, distances, .. } = scratch;
        pool.reset(count);
        self.each_match(
            batch,
            Some(filter),
            |slot| self.vectors.prefetch(pin, slot),
            |matches| {
                slots.clear();
                slots.extend(matches.map(|(_, slot)| slot));
                self.vectors.distances(pin, query, slots, distances);
                for (slot, distance) in slots.iter().zip(distances.iter()) {
                    pool.push(Candidate::new(*distance, *slot));
                }
            },
        );
    }

    /// Calls `measure` with some items at a time until all that may be answered were there, having called
    /// `ahead` with each a little before.
    pub(super) fn each_match(
        &self,
        batch: &mut Vec<Slot>,
        filter: Option<&RoaringBitmap>,
        ahead: impl Fn(Slot),
        measure: impl FnMut(&mut dyn Iterator<Item = (Key, Slot)>),
    ) {
        let used = self.space.keys_used();
        match filter {
            Some(filter) => self.each_of(filter.iter().take_while(|key| *key < used), batch, ahead, measure),
            None => self.each_of(0..used, batch, ahead, measure),
        }
    }

    fn each_of(
        &self,
        mut keys: impl Iterator<Item = Key>,
        batch: &mut Vec<Slot>,
        ahead: impl Fn(Slot),
        mut measure: impl FnMut(&mut dyn Iterator<Item = (Key, Slot)>),
    ) {
        loop {
            // Pairs of key and slot, flat.
            batch.clear();
            let mut seen = 0;
            for key in keys.by_ref().take(AT_ONCE) {
                seen += 1;
                if let Some(slot) = self.space.slot(key) {
                    ahead(slot);
                    batch.extend([key, slot]);
                }
            }
            if seen == 0 {
                break;
            }
            measure(&mut batch.as_chunks::<2>().0.iter().map(|[key, slot]| (*key, *slot)));
        }
    }
}
