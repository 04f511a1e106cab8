//! Taking lost slots out of the graph, and giving them out again.
//!
//! Lists are one-way, so a slot does not know who names it: one pass over all lists unlinks every lost
//! slot at once. A list that loses a neighbour gets the best out of what it keeps and of what the lost one
//! led to, so that no hole stays where items were deleted.

use std::sync::atomic::{AtomicU32, Ordering};

use super::Lake;
use super::graph::Entry;
use super::scratch::{Scratch, Selection, Slot};
use super::seats::{Pin, Sitting};
use super::vectors::Fresh;

/// Slots taken by a thread at once.
const STRIP: u32 = 256;

impl Lake {
    /// Unlinks what is lost. The caller keeps other writers out.
    pub(super) fn sweep(&self) {
        let lost: Vec<Slot> = (0..self.space.slots_used()).filter(|slot| self.space.has_lost(*slot)).collect();
        if lost.is_empty() {
            return;
        }
        self.graph.set_entry(self.highest());
        let next = AtomicU32::new(0);
        self.on_threads(self.space.slots_used() as usize, || {
            let mut sitting = self.seats.sit();
            let Sitting { pin, scratch } = &mut sitting;
            loop {
                let from = next.fetch_add(STRIP, Ordering::Relaxed);
                if from >= self.space.slots_used() {
                    break;
                }
                for slot in from..(from + STRIP).min(self.space.slots_used()) {
                    if self.space.holds(slot) {
                        self.mend(pin, scratch, slot);
                    }
                }
            }
        });
        self.mend_reach();
        lost.iter().for_each(|slot| self.space.retire(*slot));
        let epoch = self.seats.advance();
        self.space.free().retired.push_back((epoch, lost));
        self.recycle();
    }

    /// The live slot that reaches highest.
    fn highest(&self) -> Option<Entry> {
        (0..self.space.slots_used())
            .filter(|slot| self.space.holds(*slot))
            .filter_map(|slot| self.space.key(slot).map(|key| Entry { slot, level: self.graph.level(key) }))
            .max_by_key(|entry| (entry.level, std::cmp::Reverse(entry.slot)))
    }

    /// Chooses the lists of a live slot anew where they name lost ones.
    fn mend(&self, pin: &Pin<'_>, scratch: &mut Scratch, slot: Slot) {
        let Some(key) = self.space.key(slot) else { return };
        for level in 0..=self.graph.level(key) {
            if self.graph.neighbours(level, slot).all(|other| self.space.holds(other)) {
                continue;
            }
            let room = self.graph.list(level, slot).len();
            self.gather(scratch, level, slot, room);
            let selection: &mut Selection = &mut scratch.selection;
            self.select_for(pin, selection, slot, room);
            self.graph.set(level, slot, selection.kept.iter().copied());
        }
    }

    /// Collects a slot's live neighbours and, where lost ones are among them, the nearest live slots
    /// behind those, through as many lost ones as it takes to find `enough`.
    fn gather(&self, scratch: &mut Scratch, level: usize, slot: Slot, enough: usize) {
        let Scratch { visited, batch, selection, .. } = scratch;
        visited.reset(self.space.slots_used() as usize);
        visited.insert(slot);
        selection.slots.clear();
        batch.clear();
        batch.push(slot);
        let mut at = 0;
        while let Some(from) = batch.get(at).copied() {
            at += 1;
            for other in self.graph.neighbours(level, from) {
                if !visited.insert(other) {
                    continue;
                }
                if self.space.holds(other) {
                    selection.slots.push(other);
                } else if at == 1 || selection.slots.len() < enough {
                    batch.push(other);
                }
            }
        }
    }

    /// Gives retired slots back whose last readers have left, zeroed.
    pub(super) fn recycle(&self) {
        let mut free = self.space.free();
        while free.retired.front().is_some_and(|(epoch, _)| self.seats.is_quiet(*epoch)) {
            let Some((_, slots)) = free.retired.pop_front() else { break };
            for slot in slots {
                let level = self.space.key(slot).map_or(0, |key| self.graph.level(key));
                for level in 0..=level {
                    self.graph.set(level, slot, []);
                }
                if level > 0 {
                    free.upper[level - 1].push(self.graph.head(slot));
                }
                self.vectors.wipe(&mut Fresh::assume(slot));
                self.space.clear(slot);
                free.slots.push(slot);
            }
            // Lowest first, so that the same operations give the same slots.
            free.slots.sort_unstable_by(|a, b| b.cmp(a));
        }
    }
}
