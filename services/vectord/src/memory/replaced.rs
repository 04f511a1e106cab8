//! The keys that items were lately given in place of others.
//!
//! A search that passes by while an item is replaced can miss it under both of its keys: the new one where it came
//! too late for what the search looks through (or for its filter's matches), the old one where it was gone before
//! the search got there. Which items these may be is known afterwards: those that were replaced since it began.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};

use ann::Key;
use roaring::RoaringBitmap;

/// Keys that are remembered: more than come in the time of a search, but for one that is held up.
const KEYS_MAX: usize = 4_096;

/// See the module.
#[derive(Default)]
pub(super) struct Replaced {
    /// All that there ever were.
    count: AtomicU64,
    /// The last ones.
    keys: Mutex<VecDeque<Key>>,
}

impl Replaced {
    /// How many there were so far. Whoever has met that an item is gone is told of what took its place.
    pub(super) fn count(&self) -> u64 {
        fence(Ordering::Acquire);
        self.count.load(Ordering::Acquire)
    }

    /// Items have new keys: said before anybody is told of them, and before the old ones go.
    pub(super) fn note(&self, new: impl Iterator<Item = Key>) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let before = keys.len();
        keys.extend(new);
        let noted = keys.len() - before;
        let forgotten = keys.len().saturating_sub(KEYS_MAX);
        keys.drain(..forgotten);
        self.count.fetch_add(noted as u64, Ordering::Release);
    }

    /// Those that came after so many, and how many there are with them; `None` where they are not remembered.
    pub(super) fn since(&self, count: u64) -> Option<(RoaringBitmap, u64)> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.count.load(Ordering::Acquire);
        let first = keys.len().checked_sub(usize::try_from(now - count).ok()?)?;
        Some((keys.range(first..).copied().collect(), now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_is_known_for_a_while() {
        let replaced = Replaced::default();
        let since = |count| replaced.since(count).map(|(keys, now)| (keys.iter().collect::<Vec<_>>(), now));
        assert_eq!(since(0), Some((vec![], 0)));
        replaced.note([7, 3].into_iter());
        let before = replaced.count();
        replaced.note([5].into_iter());
        assert_eq!(
            (since(0), since(before), since(3)),
            (Some((vec![3, 5, 7], 3)), Some((vec![5], 3)), Some((vec![], 3)))
        );
        let most = KEYS_MAX as Key;
        replaced.note(100..100 + most);
        assert_eq!((since(2), since(3).map(|(keys, _)| keys.len())), (None, Some(KEYS_MAX)));
    }
}
