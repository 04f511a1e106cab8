//! Whether a walk can get to every item (arXiv 2407.07871 shows that it often cannot after updates), and
//! what makes it so.

use super::Lake;
use super::scratch::Slot;
use super::seats::Sitting;

/// In `Reach::parents`: not reached.
const UNREACHED: u32 = u32::MAX;
/// Nearest slots that an unreached one is offered to.
const OFFERED: usize = 64;

/// What can be reached from the entry.
struct Reach {
    /// Per slot the slot that it was reached from: a tree whose links must stay.
    parents: Vec<Slot>,
    queue: Vec<Slot>,
}

impl Lake {
    /// How many live items a search can get to: by a walk from the entry, or by scanning what waits.
    pub(super) fn count_reachable(&self) -> usize {
        let reach = self.reach();
        let found = |slot: &Slot| self.space.waits(*slot) || (self.space.holds(*slot) && reach.has(*slot));
        (0..reach.slots()).filter(found).count()
    }

    fn reach(&self) -> Reach {
        let mut reach = Reach { parents: vec![UNREACHED; self.space.slots_used() as usize], queue: Vec::new() };
        if let Some(entry) = self.graph.entry() {
            reach.add(entry.slot, entry.slot);
            self.spread(&mut reach);
        }
        reach
    }

    fn spread(&self, reach: &mut Reach) {
        while let Some(slot) = reach.queue.pop() {
            let Some(key) = self.space.key(slot) else { continue };
            for level in 0..=self.graph.level(key) {
                for other in self.graph.neighbours(level, slot) {
                    reach.add(other, slot);
                }
            }
        }
    }

    /// Links every unreached live slot from one near it that is reached. The caller keeps other writers
    /// out.
    pub(super) fn mend_reach(&self) {
        let mut reach = self.reach();
        for slot in 0..reach.slots() {
            if self.space.is_linked(slot) && !reach.has(slot) {
                self.attach(&mut reach, slot);
            }
        }
    }

    fn attach(&self, reach: &mut Reach, slot: Slot) {
        let Some(entry) = self.graph.entry() else { return };
        let mut sitting = self.seats.sit();
        let Sitting { pin, scratch } = &mut sitting;
        let mut query = std::mem::take(&mut scratch.query);
        self.vectors.query_slot(pin, &mut query, slot);
        self.descend(pin, scratch, &query, entry, 0, OFFERED);
        self.walk(pin, scratch, &query, 0, OFFERED);
        scratch.query = query;
        let near = scratch.pool.entries().iter().map(|entry| entry.slot());
        let near = near.filter(|other| self.space.holds(*other) && reach.has(*other) && *other != slot);
        // The nearest with room, else the nearest that can spare a link, else any that can.
        let host = near.clone().find(|other| self.graph.append(0, *other, slot));
        let host = host.or_else(|| near.chain(0..reach.slots()).find(|other| self.swap_in(reach, *other, slot)));
        if let Some(host) = host {
            reach.add(slot, host);
            self.spread(reach);
        }
    }

    /// Puts `slot` in the place of the last neighbour of `host` that is reached in another way too.
    fn swap_in(&self, reach: &Reach, host: Slot, slot: Slot) -> bool {
        if !self.space.holds(host) || !reach.has(host) || host == slot {
            return false;
        }
        let mut list: Vec<Slot> = self.graph.neighbours(0, host).collect();
        let spare = list.iter().rposition(|other| !reach.is_parent(host, *other));
        if list.len() < self.graph.list(0, host).len() {
            list.push(slot);
        } else if let Some(spare) = spare {
            list[spare] = slot;
        } else {
            return false;
        }
        self.graph.set(0, host, list);
        true
    }
}

impl Reach {
    /// Slots were below it when this was found out; later ones wait.
    fn slots(&self) -> Slot {
        self.parents.len() as Slot
    }

    fn has(&self, slot: Slot) -> bool {
        self.parents[slot as usize] != UNREACHED
    }

    fn is_parent(&self, parent: Slot, slot: Slot) -> bool {
        self.parents[slot as usize] == parent
    }

    fn add(&mut self, slot: Slot, from: Slot) {
        if !self.has(slot) {
            self.parents[slot as usize] = from;
            self.queue.push(slot);
        }
    }
}
