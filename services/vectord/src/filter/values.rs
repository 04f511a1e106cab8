//! Postings by value, in the order of values.

use std::borrow::Borrow;
use std::mem::size_of;
use std::ops::{Bound, Range};
use std::sync::Arc;

use super::postings::{BLOCK_BYTES, Postings};
use super::scalar::Number;

/// Values in a leaf. With a quarter as many, a range over half a million numbers takes twice as long, and a
/// million are put in a tenth sooner.
const LEAF_MAX: usize = 512;
/// A leaf with fewer is joined with a neighbour where both together leave room to grow.
const LEAF_MIN: usize = LEAF_MAX / 4;
const JOINED_MAX: usize = LEAF_MAX * 3 / 4;

/// A value that is kept, and how it is seen before.
pub(super) trait Kept: Clone + Ord + Borrow<Self::Seen> {
    type Seen: Ord + ?Sized;

    fn keep(seen: &Self::Seen) -> Self;

    /// Bytes outside the value itself.
    fn heap_bytes(seen: &Self::Seen) -> usize;
}

impl Kept for Number {
    type Seen = Self;

    fn keep(seen: &Self) -> Self {
        *seen
    }

    fn heap_bytes(_: &Self) -> usize {
        0
    }
}

impl Kept for Box<str> {
    type Seen = str;

    fn keep(seen: &str) -> Self {
        seen.into()
    }

    fn heap_bytes(seen: &str) -> usize {
        seen.len() + BLOCK_BYTES
    }
}

/// An ordered map of two levels: values in leaves of some hundreds, so that a range over half a million
/// values reads their postings in a few long stretches, where a tree of small nodes would follow pointers all
/// over memory. A copy shares its leaves with what it is a copy of, until one of the two changes them.
///
/// Invariant: no leaf is empty, and values ascend within leaves and from leaf to leaf.
#[derive(Debug, Clone)]
pub(super) struct Values<T> {
    leaves: Vec<Arc<Leaf<T>>>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Leaf<T> {
    values: Vec<T>,
    /// Of the values, in their order.
    postings: Vec<Postings>,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self { leaves: Vec::new(), bytes: 0 }
    }
}

impl<T: Kept> Values<T> {
    pub(super) fn insert(&mut self, value: &T::Seen, key: u32) {
        let Some(at) = self.leaf_of(value) else {
            self.start_leaf(value, key);
            return;
        };
        let is_last = at + 1 == self.leaves.len();
        self.own(at);
        let leaf = Arc::make_mut(&mut self.leaves[at]);
        match leaf.find(value) {
            Ok(place) => {
                let postings = &mut leaf.postings[place];
                let before = postings.heap_bytes();
                postings.insert(key);
                self.bytes = self.bytes - before + postings.heap_bytes();
            }
            Err(LEAF_MAX) if is_last => self.start_leaf(value, key),
            Err(place) => {
                let before = leaf.bytes();
                leaf.values.insert(place, T::keep(value));
                leaf.postings.insert(place, Postings::One(key));
                self.bytes = self.bytes - before + leaf.bytes() + T::heap_bytes(value);
                if leaf.values.len() > LEAF_MAX {
                    self.split(at);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, value: &T::Seen, key: u32) {
        let Some(at) = self.leaf_of(value) else { return };
        let Ok(place) = self.leaves[at].find(value) else { return };
        self.own(at);
        let leaf = Arc::make_mut(&mut self.leaves[at]);
        let before = leaf.postings[place].heap_bytes();
        let kept = leaf.postings[place].remove(key);
        self.bytes -= before;
        if kept {
            self.bytes += leaf.postings[place].heap_bytes();
            return;
        }
        leaf.values.remove(place);
        leaf.postings.remove(place);
        self.bytes -= T::heap_bytes(value);
        if leaf.values.len() < LEAF_MIN {
            self.join(at);
        }
    }

    pub(super) fn get(&self, value: &T::Seen) -> Option<&Postings> {
        let leaf = &self.leaves[self.leaf_of(value)?];
        leaf.find(value).ok().map(|place| &leaf.postings[place])
    }

    /// The postings of the values between two bounds. Bounds that nothing lies between find nothing.
    pub(super) fn range(&self, (lower, upper): (Bound<&T::Seen>, Bound<&T::Seen>)) -> impl Iterator<Item = &Postings> {
        let first = match lower {
            Bound::Unbounded => 0,
            Bound::Included(value) | Bound::Excluded(value) => self.leaf_of(value).unwrap_or(0),
        };
        let end = match upper {
            Bound::Unbounded => self.leaves.len(),
            Bound::Included(value) | Bound::Excluded(value) => self.leaf_of(value).map_or(0, |last| last + 1),
        };
        let leaves = self.leaves.get(first..end).unwrap_or_default();
        leaves.iter().flat_map(move |leaf| {
            let Range { start, end } = leaf.between(lower, upper);
            leaf.postings.get(start..end).unwrap_or_default()
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&T, &Postings)> {
        self.leaves.iter().flat_map(|leaf| leaf.values.iter().zip(&leaf.postings))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes + self.leaves.capacity() * size_of::<Arc<Leaf<T>>>()
    }

    /// The leaf where `value` is if it is anywhere; the first for values before all.
    fn leaf_of(&self, value: &T::Seen) -> Option<usize> {
        let after =
            self.leaves.partition_point(|leaf| leaf.values.first().is_some_and(|first| first.borrow() <= value));
        (!self.leaves.is_empty()).then(|| after.saturating_sub(1))
    }

    /// For a value beyond all others. Values that come in ascending order (times, row numbers) so leave full
    /// leaves behind, not halves.
    fn start_leaf(&mut self, value: &T::Seen, key: u32) {
        let leaf = Leaf { values: vec![T::keep(value)], postings: vec![Postings::One(key)] };
        self.bytes += leaf.bytes() + T::heap_bytes(value);
        self.leaves.push(Arc::new(leaf));
    }

    /// Has a leaf that a copy shares copied: before it is changed.
    fn own(&mut self, at: usize) {
        let leaf = &mut self.leaves[at];
        if Arc::get_mut(leaf).is_none() {
            // What is copied has no room to spare.
            self.bytes -= leaf.bytes_with_postings();
            *leaf = Arc::new(Leaf::clone(leaf));
            self.bytes += leaf.bytes_with_postings();
        }
    }

    fn split(&mut self, at: usize) {
        let leaf = Arc::make_mut(&mut self.leaves[at]);
        self.bytes -= leaf.bytes();
        let half = leaf.values.len() / 2;
        let upper = Leaf { values: leaf.values.split_off(half), postings: leaf.postings.split_off(half) };
        leaf.values.shrink_to_fit();
        leaf.postings.shrink_to_fit();
        self.bytes += leaf.bytes() + upper.bytes();
        self.leaves.insert(at + 1, Arc::new(upper));
    }

    fn join(&mut self, at: usize) {
        let len = |at: usize| self.leaves.get(at).map_or(LEAF_MAX, |leaf| leaf.values.len());
        let lower = match at.checked_sub(1) {
            _ if len(at) + len(at + 1) <= JOINED_MAX => at,
            Some(before) if len(before) + len(at) <= JOINED_MAX => before,
            _ if len(at) == 0 => {
                self.bytes -= self.leaves.remove(at).bytes();
                return;
            }
            _ => return,
        };
        self.own(lower);
        self.own(lower + 1);
        let mut upper = Arc::unwrap_or_clone(self.leaves.remove(lower + 1));
        let leaf = Arc::make_mut(&mut self.leaves[lower]);
        self.bytes -= leaf.bytes() + upper.bytes();
        leaf.values.append(&mut upper.values);
        leaf.postings.append(&mut upper.postings);
        self.bytes += leaf.bytes();
    }
}

impl<T: Kept> Leaf<T> {
    fn find(&self, value: &T::Seen) -> Result<usize, usize> {
        self.values.binary_search_by(|found| found.borrow().cmp(value))
    }

    fn between(&self, lower: Bound<&T::Seen>, upper: Bound<&T::Seen>) -> Range<usize> {
        let start = match lower {
            Bound::Unbounded => 0,
            Bound::Included(bound) => self.values.partition_point(|value| value.borrow() < bound),
            Bound::Excluded(bound) => self.values.partition_point(|value| value.borrow() <= bound),
        };
        let end = match upper {
            Bound::Unbounded => self.values.len(),
            Bound::Included(bound) => self.values.partition_point(|value| value.borrow() <= bound),
            Bound::Excluded(bound) => self.values.partition_point(|value| value.borrow() < bound),
        };
        start..end
    }
}

impl<T> Leaf<T> {
    /// Without what values and postings have elsewhere.
    fn bytes(&self) -> usize {
        let shared = size_of::<Self>() + 2 * size_of::<usize>();
        let lists = self.values.capacity() * size_of::<T>() + self.postings.capacity() * size_of::<Postings>();
        shared + lists + 3 * BLOCK_BYTES
    }

    fn bytes_with_postings(&self) -> usize {
        self.bytes() + self.postings.iter().map(Postings::heap_bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn number(value: u32) -> Number {
        Number::from(&serde_json::Number::from(value))
    }

    fn check(values: &Values<Number>, wanted: &BTreeMap<Number, u32>) {
        assert!(values.leaves.iter().all(|leaf| !leaf.values.is_empty() && leaf.values.len() == leaf.postings.len()));
        let found: Vec<_> = values.iter().map(|(value, postings)| (*value, only(postings))).collect();
        assert_eq!(found, wanted.iter().map(|(value, key)| (*value, *key)).collect::<Vec<_>>());
        let leaves: usize = values.leaves.iter().map(|leaf| leaf.bytes()).sum();
        assert_eq!(values.bytes, leaves);
    }

    fn only(postings: &Postings) -> u32 {
        match postings {
            Postings::One(key) => *key,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Over leaves that fill, split, run empty and are joined.
        #[test]
        fn values_are_an_ordered_map(
            step in prop::sample::select(vec![1u32, 7_919, 39_119]),
            inserted in 1usize..5_000,
            kept_of in 1u32..40,
            low in 0u32..40_000,
            width in 0u32..20_000,
        ) {
            let mut values = Values::default();
            let mut wanted = BTreeMap::new();
            let all: Vec<u32> = (0..inserted as u32).map(|i| i * step % 40_009).collect();
            for value in &all {
                values.insert(&number(*value), *value);
                wanted.insert(number(*value), *value);
            }
            check(&values, &wanted);
            let (copy, copied) = (values.clone(), wanted.clone());
            for value in all.iter().filter(|value| *value % kept_of != 0) {
                values.remove(&number(*value), *value);
                wanted.remove(&number(*value));
            }
            check(&values, &wanted);
            check(&copy, &copied);
            prop_assert!(values.leaves.len() <= 1 + wanted.len() * 2 / LEAF_MIN, "{} leaves", values.leaves.len());
            for value in [low, 0, 7] {
                prop_assert_eq!(values.get(&number(value)).map(only), wanted.get(&number(value)).copied());
            }
            // Bounds that are values, where any are left: elsewhere no end is off by one.
            let kept: Vec<u32> = wanted.values().copied().collect();
            let bound = |at: u32| kept.get(at as usize % kept.len().max(1)).copied().unwrap_or(at);
            let (low, high) = (bound(low).min(bound(low + width)), bound(low).max(bound(low + width)));
            let (lower, upper) = (number(low), number(high));
            for (from, to) in [
                (Bound::Included(&lower), Bound::Excluded(&upper)),
                (Bound::Excluded(&lower), Bound::Included(&upper)),
                (Bound::Unbounded, Bound::Included(&upper)),
                (Bound::Excluded(&lower), Bound::Unbounded),
                (Bound::Unbounded, Bound::Unbounded),
            ] {
                let between = |value: &Number| {
                    let above = match from { Bound::Unbounded => true, Bound::Included(from) => value >= from, Bound::Excluded(from) => value > from };
                    above && match to { Bound::Unbounded => true, Bound::Included(to) => value <= to, Bound::Excluded(to) => value < to }
                };
                let found: Vec<u32> = values.range((from, to)).map(only).collect();
                let wanted: Vec<u32> = wanted.iter().filter(|(value, _)| between(value)).map(|(_, key)| *key).collect();
                prop_assert_eq!(found, wanted);
            }
            prop_assert_eq!(values.range((Bound::Excluded(&upper), Bound::Included(&lower))).count(), 0);
            prop_assert_eq!(values.range((Bound::Excluded(&lower), Bound::Excluded(&lower))).count(), 0);
            for value in all {
                values.remove(&number(value), value);
            }
            prop_assert_eq!((values.leaves.len(), values.bytes), (0, 0));
        }
    }
}
