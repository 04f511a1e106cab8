//! Slots that wait to be linked: a bit per slot, so that a scan goes through them in the order of memory.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::scratch::Slot;
use super::slab::Slab;

const WORD_SLOTS: u32 = u64::BITS;
/// Words in a row: enough that finding the row costs nothing beside reading it.
const ROW_WORDS: usize = 64;
const ROW_SLOTS: u32 = ROW_WORDS as u32 * WORD_SLOTS;

/// See the module.
pub(super) struct Tail {
    words: Slab<AtomicU64>,
    bits: AtomicUsize,
}

impl Tail {
    pub(super) fn new() -> Self {
        Self { words: Slab::new(ROW_WORDS), bits: AtomicUsize::new(0) }
    }

    /// Makes room for slots up to a number.
    pub(super) fn reserve(&self, slots: u32) -> io::Result<()> {
        self.words.reserve(slots.div_ceil(ROW_SLOTS))
    }

    fn word(&self, slot: Slot) -> (&AtomicU64, u64) {
        let word = slot % ROW_SLOTS / WORD_SLOTS;
        (&self.words.row(slot / ROW_SLOTS)[word as usize], 1 << (slot % WORD_SLOTS))
    }

    pub(super) fn add(&self, slot: Slot) {
        let (word, bit) = self.word(slot);
        // Counted first: a search that sees no bits need not look for one.
        self.bits.fetch_add(1, Ordering::AcqRel);
        // Release: who finds the bit also sees the slot's vector.
        if word.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            self.bits.fetch_sub(1, Ordering::AcqRel);
        }
    }

    pub(super) fn remove(&self, slot: Slot) {
        let (word, bit) = self.word(slot);
        if word.fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
            self.bits.fetch_sub(1, Ordering::AcqRel);
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bits.load(Ordering::Acquire) == 0
    }

    /// Calls `look` with the slots of one word after the other, ascending, of those below `slots`, until
    /// it answers `false`.
    pub(super) fn each_word(&self, slots: u32, batch: &mut Vec<Slot>, mut look: impl FnMut(&[Slot]) -> bool) {
        for row in 0..slots.div_ceil(ROW_SLOTS) {
            for (word, first) in self.words.row(row).iter().zip((row * ROW_SLOTS..).step_by(WORD_SLOTS as usize)) {
                let mut bits = word.load(Ordering::Acquire);
                if bits == 0 {
                    continue;
                }
                batch.clear();
                while bits != 0 {
                    batch.push(first + bits.trailing_zeros());
                    bits &= bits - 1;
                }
                if !look(batch) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_not_removed_is_met_once_in_order() {
        let tail = Tail::new();
        tail.reserve(20_000).expect("memory");
        let mut expected: Vec<Slot> = vec![0, 63, 64, 4095, 4096, 12_345, 19_999];
        for slot in expected.iter().chain(&[63, 70]) {
            tail.add(*slot);
        }
        tail.remove(70);
        tail.remove(70);
        tail.remove(4096);
        expected.retain(|slot| *slot != 4096);
        let (mut met, mut batch) = (Vec::new(), Vec::new());
        tail.each_word(20_000, &mut batch, |slots| {
            met.extend_from_slice(slots);
            true
        });
        assert_eq!(met, expected);
        assert!(!tail.is_empty());
        expected.iter().for_each(|slot| tail.remove(*slot));
        assert!(tail.is_empty());
    }
}
