//! Who neighbours whom: lists of a fixed length per slot and level.
//!
//! Lists are rows of atomics that end at the first zero (slots are stored plus one). Searches read them
//! while writers rewrite them: what they see may be half the old list and half the new, every entry of
//! which is a slot that was a good neighbour a moment ago and, by the reader's pin, still is what it was.
//! Writers of one list take its lock in turn; no writer holds two.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::scratch::Slot;
use super::slab::Slab;
use crate::Key;

/// Whole cache lines of entries.
const LINE_ENTRIES: usize = 16;
const LOCKS: usize = 1024;
const NO_ENTRY: u64 = u64::MAX;
/// The most levels above the lowest that an item can have.
pub(super) const LEVEL_MAX: usize = 12;

/// Where a walk starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) slot: Slot,
    pub(super) level: usize,
}

/// See the module.
pub(super) struct Graph {
    per_level: f64,
    lowest: Slab<AtomicU32>,
    upper: Slab<AtomicU32>,
    /// Per slot its first row in `upper`.
    heads: Slab<AtomicU32>,
    entry: AtomicU64,
    entering: Mutex<()>,
    locks: Box<[Mutex<()>]>,
}

impl Graph {
    /// `m` neighbours are chosen for a new item; a list holds twice as many on the lowest level.
    pub(super) fn new(m: usize) -> Self {
        Self {
            per_level: 1.0 / (m as f64).ln(),
            lowest: Slab::new((2 * m).next_multiple_of(LINE_ENTRIES)),
            upper: Slab::new(m.next_multiple_of(LINE_ENTRIES)),
            heads: Slab::new(1),
            entry: AtomicU64::new(NO_ENTRY),
            entering: Mutex::new(()),
            locks: std::iter::repeat_with(Mutex::default).take(LOCKS).collect(),
        }
    }

    pub(super) fn reserve(&self, slots: u32, upper_rows: u32) -> io::Result<()> {
        self.lowest.reserve(slots)?;
        self.heads.reserve(slots)?;
        self.upper.reserve(upper_rows)
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.lowest.row_bytes() + self.heads.row_bytes()
    }

    /// Entries of a list of the lowest level.
    pub(super) fn row_entries(&self) -> usize {
        self.lowest.row_bytes() / size_of::<u32>()
    }

    /// Entries of a list above.
    pub(super) fn upper_row_entries(&self) -> usize {
        self.upper.row_bytes() / size_of::<u32>()
    }

    pub(super) fn upper_row_bytes(&self) -> usize {
        self.upper.row_bytes()
    }

    /// The highest level of a key: exponentially fewer reach each level (Malkov & Yashunin, section 4).
    /// Drawn from the key, so that the same inserts give the same graph.
    pub(super) fn level(&self, key: Key) -> usize {
        let uniform = (mix(u64::from(key)) >> 11) as f64 / (1_u64 << 53) as f64;
        ((-(1.0 - uniform).ln() * self.per_level) as usize).min(LEVEL_MAX)
    }

    pub(super) fn set_head(&self, slot: Slot, row: u32) {
        self.heads.at(slot).store(row, Ordering::Release);
    }

    pub(super) fn head(&self, slot: Slot) -> u32 {
        self.heads.at(slot).load(Ordering::Acquire)
    }

    /// The list of a slot, which has this level.
    #[inline]
    pub(super) fn list(&self, level: usize, slot: Slot) -> &[AtomicU32] {
        if level == 0 { self.lowest.row(slot) } else { self.upper.row(self.head(slot) + level as u32 - 1) }
    }

    /// The neighbours of a slot, which has this level.
    #[inline]
    pub(super) fn neighbours(&self, level: usize, slot: Slot) -> impl Iterator<Item = Slot> {
        self.list(level, slot)
            .iter()
            .map(|entry| entry.load(Ordering::Acquire))
            .take_while(|entry| *entry != 0)
            .map(|entry| entry - 1)
    }

    /// Holds off other writers of a slot's lists.
    pub(super) fn lock(&self, slot: Slot) -> MutexGuard<'_, ()> {
        self.locks[slot as usize % LOCKS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rewrites a list; what does not fit is left out.
    pub(super) fn set(&self, level: usize, slot: Slot, neighbours: impl IntoIterator<Item = Slot>) {
        let entries = neighbours.into_iter().map(|slot| slot + 1).chain(std::iter::repeat(0));
        for (place, entry) in self.list(level, slot).iter().zip(entries) {
            // Release: who reads the number also sees the neighbour's vector.
            place.store(entry, Ordering::Release);
        }
    }

    /// Adds a neighbour where there is room or it is there already; whether that is so.
    pub(super) fn append(&self, level: usize, slot: Slot, neighbour: Slot) -> bool {
        for place in self.list(level, slot) {
            match place.load(Ordering::Acquire) {
                0 => {
                    place.store(neighbour + 1, Ordering::Release);
                    return true;
                }
                entry if entry == neighbour + 1 => return true,
                _ => {}
            }
        }
        false
    }

    pub(super) fn entry(&self) -> Option<Entry> {
        let bits = self.entry.load(Ordering::Acquire);
        (bits != NO_ENTRY).then_some(Entry { slot: bits as u32, level: (bits >> 32) as usize })
    }

    pub(super) fn set_entry(&self, entry: Option<Entry>) {
        let bits = entry.map_or(NO_ENTRY, |entry| (entry.level as u64) << 32 | u64::from(entry.slot));
        self.entry.store(bits, Ordering::Release);
    }

    /// Makes the first item the entry; `false` where there is one already.
    pub(super) fn enter_first(&self, entry: Entry) -> bool {
        let _entering = self.entering.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.entry().is_none();
        if first {
            self.set_entry(Some(entry));
        }
        first
    }

    /// Makes an item the entry if it reaches higher than the present one.
    pub(super) fn enter_higher(&self, entry: Entry) {
        let _entering = self.entering.lock().unwrap_or_else(PoisonError::into_inner);
        if self.entry().is_none_or(|present| entry.level > present.level) {
            self.set_entry(Some(entry));
        }
    }
}

/// Spreads small numbers over all 64 bits (the finaliser of splitmix64).
fn mix(key: u64) -> u64 {
    let mut bits = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_thin_out_by_m() {
        let graph = Graph::new(16);
        let count = |level| (0..100_000).filter(|key| graph.level(*key) >= level).count();
        assert!((5_900..6_600).contains(&count(1)) && (300..480).contains(&count(2)));
        assert_eq!(graph.level(77), graph.level(77));
    }

    #[test]
    fn a_list_grows_to_its_length_without_doubles() {
        let graph = Graph::new(8);
        graph.reserve(40, 0).expect("memory");
        assert!((1..17).all(|neighbour| graph.append(0, 0, neighbour)));
        assert!(graph.append(0, 0, 3) && !graph.append(0, 0, 17));
        graph.set(0, 0, [5, 4]);
        assert_eq!(graph.neighbours(0, 0).collect::<Vec<_>>(), [5, 4]);
    }
}
