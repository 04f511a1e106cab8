//! Taking lost slots out of the graph, and giving them out again.
//!
//! Lists are one-way, so a slot does not know who names it: one pass over all lists unlinks every lost
//! slot at once. A list that loses a neighbour keeps the others and gets the best of what the lost one led
//! to, so that no hole stays where items were deleted.

use std::sync::atomic::{AtomicU32, Ordering};

use super::Lake;
use super::graph::Entry;
use super::scratch::{Candidate, Scratch, Selection, Slot};
use super::seats::{Pin, Sitting};
use super::vectors::Fresh;

/// Slots taken by a thread at once.
const STRIP: u32 = 256;

impl Lake {
    /// Unlinks what is lost. The caller keeps others from the lists; what is inserted or deleted meanwhile
    /// is none of this sweep's.
    pub(super) fn sweep(&self) {
        let _sweeping = self.sweeping();
        let lost: Vec<Slot> = (0..self.space.slots_used()).filter(|slot| self.space.has_lost(*slot)).collect();
        if lost.is_empty() {
            return;
        }
        // Marked before any list is mended: what is lost from here on stays in the graph until the next
        // sweep, so that no list is left naming a slot that this one gives back.
        lost.iter().for_each(|slot| self.space.retire(*slot));
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
                    if self.space.in_graph(slot) {
                        self.mend(pin, scratch, slot);
                    }
                }
            }
        });
        self.mend_reach();
        self.space.left(lost.len());
        let epoch = self.seats.advance();
        self.space.free().retired.push_back((epoch, lost));
        self.recycle();
    }

    /// The live slot that reaches highest in the graph.
    pub(super) fn highest(&self) -> Option<Entry> {
        (0..self.space.slots_used())
            .filter(|slot| self.space.is_linked(*slot))
            .filter_map(|slot| self.space.key(slot).map(|key| Entry { slot, level: self.graph.level(key) }))
            .max_by_key(|entry| (entry.level, std::cmp::Reverse(entry.slot)))
    }

    /// Mends the lists of a slot where they name retired ones: what stays, stays, since much of it leads
    /// further than any choice from the present neighbourhood would; beside it come heirs of retired
    /// ones, and of those found behind them what a choice among all takes.
    fn mend(&self, pin: &Pin<'_>, scratch: &mut Scratch, slot: Slot) {
        let Some(key) = self.space.key(slot) else { return };
        for level in 0..=self.graph.level(key) {
            if self.graph.neighbours(level, slot).all(|other| !self.space.is_gone(other)) {
                continue;
            }
            let room = self.graph.list(level, slot).len();
            let before = self.graph.neighbours(level, slot).count();
            let stay = self.gather(scratch, level, slot, room);
            let mut list = std::mem::take(&mut scratch.selection.list);
            list.clear();
            list.extend_from_slice(&scratch.selection.slots[..stay]);
            self.replace(pin, scratch, level, slot, &mut list);
            let selection = &mut scratch.selection;
            self.select_for(pin, selection, slot, room);
            for other in &selection.kept {
                if list.len() < room && !list.contains(other) {
                    list.push(*other);
                }
            }
            // Then the nearest, taken or not, until the list is as long as it was.
            for other in selection.candidates.iter().map(|candidate| candidate.slot()) {
                if list.len() < before && !list.contains(&other) {
                    list.push(other);
                }
            }
            self.graph.set(level, slot, list.iter().copied());
            scratch.selection.list = list;
        }
    }

    /// Adds to a list, for each retired neighbour that led where no other in the list does (none is nearer
    /// to it than the slot itself), the nearest to it behind it. That keeps long links, which a choice from
    /// the slot's own view would drop for near ones.
    fn replace(&self, pin: &Pin<'_>, scratch: &mut Scratch, level: usize, slot: Slot, list: &mut Vec<Slot>) {
        let Scratch { batch, slots, distances, selection: Selection { probe, .. }, .. } = scratch;
        slots.clear();
        slots.extend(self.graph.neighbours(level, slot).filter(|other| self.space.is_gone(*other)));
        for gone in slots.iter() {
            self.vectors.query_slot(pin, probe, *gone);
            batch.clear();
            batch.push(slot);
            batch.extend_from_slice(list);
            self.vectors.distances(pin, probe, batch, distances);
            let own = distances[0];
            if distances[1..].iter().any(|distance| *distance < own) {
                continue;
            }
            batch.clear();
            batch.extend(
                self.graph.neighbours(level, *gone).filter(|other| *other != slot && !self.space.is_gone(*other)),
            );
            self.vectors.distances(pin, probe, batch, distances);
            let nearest = batch.iter().zip(distances.iter()).map(|(other, far)| Candidate::new(*far, *other)).min();
            if let Some(nearest) = nearest.filter(|nearest| nearest.distance() < own) {
                list.push(nearest.slot());
            }
        }
    }

    /// Collects a slot's neighbours that stay, whose number it returns, and behind those that do not the
    /// nearest slots that stay, through as many as it takes to find `enough`.
    fn gather(&self, scratch: &mut Scratch, level: usize, slot: Slot, enough: usize) -> usize {
        let Scratch { visited, batch, selection, .. } = scratch;
        let mut stay = 0;
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
                if !self.space.is_gone(other) {
                    selection.slots.push(other);
                } else if at == 1 || selection.slots.len() < enough {
                    batch.push(other);
                }
            }
            if at == 1 {
                stay = selection.slots.len();
            }
        }
        stay
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
