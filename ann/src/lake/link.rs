//! Putting a new slot into the graph: Malkov & Yashunin, algorithm 1.

use super::Lake;
use super::graph::Entry;
use super::scratch::{Scratch, Slot};
use super::seats::{Pin, Sitting};

impl Lake {
    /// Links a published slot, whose item reaches up to `level`. It is named by others only when its own
    /// lists are there on every level: a walk that comes down through it finds the way on.
    pub(super) fn link(&self, sitting: &mut Sitting<'_>, slot: Slot, level: usize) {
        let Sitting { pin, scratch } = sitting;
        let own = Entry { slot, level };
        let Some(entry) = self.graph.entry() else {
            if !self.graph.enter_first(own) {
                self.link(sitting, slot, level);
            }
            return;
        };
        let mut chosen = std::mem::take(&mut scratch.chosen);
        chosen.clear();
        let mut query = std::mem::take(&mut scratch.query);
        self.vectors.query_slot(pin, &mut query, slot);
        let ef = self.options.ef_construction;
        self.descend(pin, scratch, &query, entry, level.min(entry.level), ef);
        for level in (0..=level.min(entry.level)).rev() {
            self.walk(pin, scratch, &query, level, ef);
            scratch.start_from_pool(ef);
            let Scratch { pool, selection, .. } = &mut **scratch;
            selection.candidates.clear();
            let good = pool
                .entries()
                .iter()
                .map(|entry| entry.unmarked())
                .filter(|entry| entry.slot() != slot && self.is_current(entry.slot()));
            selection.candidates.extend(good);
            self.select(pin, selection, self.options.m);
            chosen.extend(selection.kept.iter().map(|other| (level, *other)));
            self.graph.set(level, slot, selection.kept.iter().copied());
        }
        for (level, other) in &chosen {
            self.connect(pin, scratch, *level, *other, slot);
        }
        scratch.chosen = chosen;
        scratch.query = query;
        if level > entry.level {
            self.graph.enter_higher(own);
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
