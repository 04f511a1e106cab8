//! Putting a new slot into the graph: Malkov & Yashunin, algorithm 1.

use super::Lake;
use super::graph::Entry;
use super::scratch::{Scratch, Slot};
use super::seats::{Pin, Sitting};

impl Lake {
    /// Links a published slot, whose item reaches up to `level`.
    pub(super) fn link(&self, sitting: &mut Sitting<'_>, slot: Slot, level: usize) {
        let Sitting { pin, scratch } = sitting;
        let own = Entry { slot, level };
        let Some(entry) = self.graph.entry() else {
            if !self.graph.enter_first(own) {
                self.link(sitting, slot, level);
            }
            return;
        };
        let mut query = std::mem::take(&mut scratch.query);
        self.vectors.query_slot(pin, &mut query, slot);
        let mut start = self.descend(pin, scratch, &query, entry, level.min(entry.level));
        for level in (0..=level.min(entry.level)).rev() {
            self.walk(pin, scratch, &query, start, level, self.options.ef_construction);
            let Scratch { pool, selection, .. } = &mut **scratch;
            if let Some(nearest) = pool.entries().first() {
                start = nearest.unmarked();
            }
            selection.candidates.clear();
            let good = pool
                .entries()
                .iter()
                .map(|entry| entry.unmarked())
                .filter(|entry| entry.slot() != slot && self.is_current(entry.slot()));
            selection.candidates.extend(good);
            self.select(pin, selection, self.options.m);
            let chosen = std::mem::take(&mut selection.kept);
            // Under the lock, and keeping what is there: other inserts may have found this slot already.
            self.adopt(pin, scratch, level, slot, &chosen);
            for other in &chosen {
                self.connect(pin, scratch, level, *other, slot);
            }
            scratch.selection.kept = chosen;
        }
        scratch.query = query;
        if level > entry.level {
            self.graph.enter_higher(own);
        }
    }

    /// Writes the first list of a new slot.
    fn adopt(&self, pin: &Pin<'_>, scratch: &mut Scratch, level: usize, slot: Slot, chosen: &[Slot]) {
        let _lock = self.graph.lock(slot);
        let selection = &mut scratch.selection;
        selection.slots.clear();
        selection.slots.extend_from_slice(chosen);
        for other in self.graph.neighbours(level, slot) {
            if !selection.slots.contains(&other) {
                selection.slots.push(other);
            }
        }
        let room = self.graph.list(level, slot).len();
        if selection.slots.len() > room {
            self.select_for(pin, selection, slot, room);
            self.graph.set(level, slot, selection.kept.iter().copied());
        } else {
            self.graph.set(level, slot, selection.slots.iter().copied());
        }
    }

    /// Adds a neighbour to a list; a full one is chosen anew.
    fn connect(&self, pin: &Pin<'_>, scratch: &mut Scratch, level: usize, slot: Slot, neighbour: Slot) {
        let _lock = self.graph.lock(slot);
        if self.graph.append(level, slot, neighbour) {
            return;
        }
        let selection = &mut scratch.selection;
        selection.slots.clear();
        selection.slots.push(neighbour);
        selection.slots.extend(self.graph.neighbours(level, slot).filter(|other| self.is_current(*other)));
        let room = self.graph.list(level, slot).len();
        self.select_for(pin, selection, slot, room);
        self.graph.set(level, slot, selection.kept.iter().copied());
    }
}
