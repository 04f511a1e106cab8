//! Keys given out and taken back.

use std::sync::{Arc, Mutex, PoisonError};

use ann::{KEYS_MAX, Key};
use crossbeam_epoch::Guard;

use crate::Error;

/// Keys that can be given out. A key that was given back is given out again only when every search that
/// ran then has ended: what a search found under a key is what its vector was measured for.
#[derive(Clone, Default)]
pub(super) struct Keys(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: Key,
    free: Vec<Key>,
}

impl Keys {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// # Errors
    /// None left.
    pub(super) fn take(&self) -> Result<Key, Error> {
        self.with(|state| {
            if let Some(key) = state.free.pop() {
                return Ok(key);
            }
            if state.next >= KEYS_MAX {
                return Err(Error::Invalid(format!("an index holds {KEYS_MAX} vectors at most")));
            }
            state.next += 1;
            Ok(state.next - 1)
        })
    }

    pub(super) fn give_back(&self, key: Key, guard: &Guard) {
        let keys = self.clone();
        guard.defer(move || keys.with(|state| state.free.push(key)));
    }

    /// Those in use are known: everything else below the greatest is free.
    pub(super) fn restore(&self, in_use: &roaring::RoaringBitmap) {
        let next = in_use.max().map_or(0, |max| max + 1);
        let free = (0..next).rev().filter(|key| !in_use.contains(*key)).collect();
        self.with(|state| *state = State { next, free });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_when_every_search_of_its_time_has_ended() {
        let keys = Keys::default();
        let key = keys.take().unwrap();
        let search = crossbeam_epoch::pin();
        let writer = std::thread::scope(|scope| {
            let give_back = || {
                let guard = crossbeam_epoch::pin();
                keys.give_back(key, &guard);
                guard.flush();
            };
            scope.spawn(give_back).join()
        });
        writer.unwrap();
        assert!((0..1_000).all(|_| keys.take().unwrap() != key), "a search may still hold it");
        drop(search);
        while keys.take().unwrap() != key {
            crossbeam_epoch::pin().flush();
        }
    }
}
