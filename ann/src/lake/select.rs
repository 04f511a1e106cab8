//! Choosing neighbours: Malkov & Yashunin, algorithm 4.

use super::Lake;
use super::scratch::{Candidate, Selection, Slot};
use super::seats::Pin;

/// Candidates are held against this many chosen ones before it is asked whether one was nearer.
const AT_ONCE: usize = 8;

impl Lake {
    /// Chooses up to `count` of `selection.candidates` (whose distances are from the vector that wants
    /// neighbours) into `selection.kept`: nearest first, each nearer to that vector than to any chosen
    /// before, so that neighbours lie in different directions.
    pub(super) fn select(&self, pin: &Pin<'_>, selection: &mut Selection, count: usize) {
        let Selection { candidates, kept, distances, probe, .. } = selection;
        candidates.sort_unstable();
        candidates.dedup();
        kept.clear();
        for candidate in candidates.iter() {
            if kept.len() == count {
                break;
            }
            if !kept.is_empty() {
                self.vectors.query_slot(pin, probe, candidate.slot());
            }
            let crowded = kept.chunks(AT_ONCE).any(|kept| {
                self.vectors.distances(pin, probe, kept, distances);
                distances.iter().any(|distance| *distance < candidate.distance())
            });
            if !crowded {
                kept.push(candidate.slot());
            }
        }
    }

    /// Chooses a list for `slot` out of `selection.slots`.
    pub(super) fn select_for(&self, pin: &Pin<'_>, selection: &mut Selection, slot: Slot, count: usize) {
        let Selection { candidates, slots, distances, centre, .. } = selection;
        self.vectors.query_slot(pin, centre, slot);
        for other in slots.iter() {
            self.vectors.prefetch(pin, *other);
        }
        self.vectors.distances(pin, centre, slots, distances);
        candidates.clear();
        candidates.extend(slots.iter().zip(distances.iter()).map(|(slot, distance)| Candidate::new(*distance, *slot)));
        self.select(pin, selection, count);
    }
}
