//! A bitmap out of the postings of many values.

use roaring::RoaringBitmap;

use super::postings::Postings;

/// A bitmap of fewer keys than this is taken apart: to unite tens of thousands of small bitmaps one by one
/// costs far more than to set their bits.
const APART_MAX: u64 = 4_096;
/// One key in so many, and bits are smaller and sooner done than a sorted list.
const SPARSE: usize = 32;

/// Collects the keys of values in any order and any number: a list while they are few, then one bit for each
/// key up to the highest wanted.
///
/// A range over a million values is a million keys in no order, which a compressed bitmap takes in slowly,
/// one search each; bits take them with one store each, and become a bitmap by copying.
pub(super) struct Gather {
    few: Vec<u32>,
    /// Empty until `few` has grown too long.
    bits: Vec<u8>,
    whole: RoaringBitmap,
    keys_end: usize,
}

impl Gather {
    /// For keys of `within`; others may be left out.
    pub(super) fn new(within: &RoaringBitmap) -> Self {
        let keys_end = within.max().map_or(0, |max| max as usize + 1);
        Self { few: Vec::new(), bits: Vec::new(), whole: RoaringBitmap::new(), keys_end }
    }

    pub(super) fn add(&mut self, postings: &Postings) {
        match postings {
            Postings::One(key) => self.push(*key),
            Postings::Few(keys) => keys.iter().for_each(|key| self.push(*key)),
            Postings::Many(keys) => self.add_all(keys.bitmap()),
        }
    }

    pub(super) fn add_all(&mut self, keys: &RoaringBitmap) {
        if keys.len() < APART_MAX {
            keys.iter().for_each(|key| self.push(key));
        } else {
            self.whole |= keys;
        }
    }

    fn push(&mut self, key: u32) {
        if !self.bits.is_empty() {
            self.set(key);
        } else if self.few.len() < self.keys_end / SPARSE {
            self.few.push(key);
        } else {
            self.bits = vec![0; self.keys_end.div_ceil(8)];
            std::mem::take(&mut self.few).into_iter().chain([key]).for_each(|key| self.set(key));
        }
    }

    fn set(&mut self, key: u32) {
        // Keys beyond the bits are not wanted.
        if let Some(byte) = self.bits.get_mut(key as usize / 8) {
            *byte |= 1 << (key % 8);
        }
    }

    pub(super) fn finish(mut self) -> RoaringBitmap {
        self.few.sort_unstable();
        let mut keys = if self.bits.is_empty() {
            self.few.into_iter().collect()
        } else {
            RoaringBitmap::from_lsb0_bytes(0, &self.bits)
        };
        keys |= self.whole;
        keys
    }
}
