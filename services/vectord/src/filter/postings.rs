//! The items that have one value.

use std::mem::size_of;
use std::sync::Arc;

use roaring::RoaringBitmap;

/// Roughly what the allocator adds to every block.
pub(super) const BLOCK_BYTES: usize = 16;
/// What a chunk of 65,536 keys takes in a bitmap, besides its keys.
const CHUNK_BYTES: usize = 48 + BLOCK_BYTES;
/// A key in a chunk of up to 4,096: two bytes, in a list that doubles when it is full.
const LISTED_KEY_BYTES: usize = 3;
/// A chunk of more keys: a bit for every key there could be.
const BITSET_BYTES: usize = 65_536 / 8;
/// More keys than this are a bitmap.
const FEW_MAX: usize = 32;

/// Keys of items, in the form that suits their number: most values are rare, and a bitmap of two keys that
/// lie far apart takes hundreds of bytes.
#[derive(Debug, Clone)]
pub(super) enum Postings {
    One(u32),
    /// Sorted.
    Few(Vec<u32>),
    /// Shared with versions that filters are still evaluated over.
    Many(Arc<Keys>),
}

impl Postings {
    pub(super) fn insert(&mut self, key: u32) {
        match self {
            Self::One(only) if *only == key => {}
            Self::One(only) => *self = Self::Few(vec![(*only).min(key), (*only).max(key)]),
            Self::Few(keys) => match keys.binary_search(&key) {
                Ok(_) => {}
                Err(place) if keys.len() < FEW_MAX => keys.insert(place, key),
                Err(_) => {
                    let mut many = Keys::default();
                    keys.iter().chain([&key]).for_each(|key| many.insert(*key));
                    *self = Self::Many(Arc::new(many));
                }
            },
            Self::Many(keys) => Arc::make_mut(keys).insert(key),
        }
    }

    /// Whether keys are left.
    #[must_use]
    pub(super) fn remove(&mut self, key: u32) -> bool {
        match self {
            Self::One(only) => *only != key,
            Self::Few(keys) => {
                keys.retain(|kept| *kept != key);
                !keys.is_empty()
            }
            Self::Many(keys) => {
                Arc::make_mut(keys).remove(key);
                // At half of what made it a bitmap: a value at the border is not built anew each time.
                if keys.bitmap.len() <= FEW_MAX as u64 / 2 {
                    *self = Self::Few(keys.bitmap.iter().collect());
                }
                true
            }
        }
    }

    /// Bytes outside the value itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Few(keys) => keys.capacity() * size_of::<u32>() + BLOCK_BYTES,
            Self::Many(keys) => size_of::<Keys>() + BLOCK_BYTES + keys.heap_bytes,
        }
    }
}

/// A bitmap that knows about how much memory it takes.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    bitmap: RoaringBitmap,
    /// As of the last count. Counting visits every chunk of keys, so it is done again only after changes
    /// to an eighth of the keys there were.
    heap_bytes: usize,
    changes_until_count: u64,
}

impl Keys {
    pub(super) fn insert(&mut self, key: u32) {
        if self.bitmap.insert(key) {
            self.changed();
        }
    }

    pub(super) fn remove(&mut self, key: u32) {
        if self.bitmap.remove(key) {
            self.changed();
        }
    }

    pub(super) fn bitmap(&self) -> &RoaringBitmap {
        &self.bitmap
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    fn changed(&mut self) {
        if self.changes_until_count > 0 {
            self.changes_until_count -= 1;
            return;
        }
        // Its own figures of bytes are of wider keys, and of bits: the numbers of things are right.
        let chunks = self.bitmap.statistics();
        self.heap_bytes = chunks.n_containers as usize * CHUNK_BYTES
            + chunks.n_values_array_containers as usize * LISTED_KEY_BYTES
            + chunks.n_bitset_containers as usize * BITSET_BYTES
            + chunks.n_bytes_run_containers as usize;
        self.changes_until_count = chunks.cardinality / 8;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(postings: &Postings) -> Vec<u32> {
        match postings {
            Postings::One(key) => vec![*key],
            Postings::Few(keys) => keys.clone(),
            Postings::Many(keys) => keys.bitmap().iter().collect(),
        }
    }

    proptest! {
        /// Through every form and back, with each key asked for more than once.
        #[test]
        fn postings_are_a_set(inserted in prop::collection::vec(0u32..200, 1..300), removed in prop::collection::vec(0u32..200, 0..300)) {
            let mut postings = Postings::One(inserted[0]);
            let mut set = std::collections::BTreeSet::new();
            for key in &inserted {
                postings.insert(*key);
                set.insert(*key);
            }
            prop_assert_eq!(keys(&postings), set.iter().copied().collect::<Vec<_>>());
            for key in &removed {
                set.remove(key);
                prop_assert_eq!(postings.remove(*key), !set.is_empty());
                if set.is_empty() {
                    break;
                }
                prop_assert_eq!(keys(&postings), set.iter().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_bitmap_counts_its_bytes_within_an_eighth() {
        let mut keys = Keys::default();
        for key in 0..200_000 {
            keys.insert(key * 7);
        }
        let full = keys.heap_bytes();
        // Array chunks of 9,363 keys each would be bitsets of 8 KiB.
        let real = 1_400_000_usize.div_ceil(65_536) * (8_192 + CHUNK_BYTES);
        assert!(full.abs_diff(real) <= real / 8, "{full} of {real}");
        for key in 0..199_000 {
            keys.remove(key * 7);
        }
        assert!(keys.heap_bytes() < full / 20, "{} of {full}", keys.heap_bytes());
    }
}
