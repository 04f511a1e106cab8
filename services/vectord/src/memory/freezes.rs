//! Searches that must find, to their end, what was there at one moment.
//!
//! A search is mostly answered from what is there as it passes by, and is run again where too much of what it
//! met was replaced meanwhile. Writers might outrun it for ever; so in the end it freezes a moment. What is taken
//! out after that moment stays in the engine and keeps its record until the search has ended: the writer waits for
//! the search, not the search for the writer. What replaces it is found by others at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use ann::Key;

use crate::item::Record;

/// See the module.
#[derive(Default)]
pub(super) struct Freezes {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the next one.
    next: u64,
    active: BTreeSet<u64>,
    /// Records as they were before their metadata was changed in place, in the order of changes, each with the
    /// number of the first freeze that does not need it.
    former: HashMap<Key, Vec<(u64, Record)>>,
}

/// Keeps what is there: what its holder finds by an id, or in the table, from its beginning on. Its holder must
/// not change anything: it would wait for itself.
pub(super) struct Freeze<'a> {
    freezes: &'a Freezes,
    number: u64,
}

impl Freezes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one. Whoever has the table meanwhile knows which changes of metadata came before it.
    pub(super) fn begin(&self) -> Freeze<'_> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.active.insert(number);
        Freeze { freezes: self, number }
    }

    /// Waits for those who may still answer what nothing leads to any more.
    pub(super) fn wait_for_earlier(&self) {
        let next = self.state().next;
        self.wait_for_those_before(next);
    }

    fn wait_for_those_before(&self, next: u64) {
        let mut state = self.state();
        while state.active.first().is_some_and(|first| *first < next) {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Keeps a record that is about to be replaced under its key, for as long as somebody may want it. The caller
    /// has the table to itself.
    pub(super) fn keep(&self, key: Key, record: Record) {
        let mut state = self.state();
        if !state.active.is_empty() {
            let next = state.next;
            state.former.entry(key).or_default().push((next, record));
        }
    }
}

impl Freeze<'_> {
    /// The record of a key as it was at the beginning, where it was replaced since.
    pub(super) fn former(&self, key: Key) -> Option<Record> {
        let state = self.freezes.state();
        let versions = state.former.get(&key)?;
        versions.iter().find(|(first_without, _)| *first_without > self.number).map(|(_, record)| record.clone())
    }
}

impl Drop for Freeze<'_> {
    fn drop(&mut self) {
        let mut state = self.freezes.state();
        state.active.remove(&self.number);
        let oldest = state.active.first().copied().unwrap_or(u64::MAX);
        state.former.retain(|_, versions| {
            versions.retain(|(first_without, _)| *first_without > oldest);
            !versions.is_empty()
        });
        self.freezes.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn record(json: &str) -> Record {
        Record::from_parts("w-1", json)
    }

    #[test]
    fn each_sees_the_record_of_its_own_moment_and_nothing_is_kept_after() {
        let freezes = Freezes::default();
        freezes.keep(7, record("before all"));
        let former = |freeze: &Freeze<'_>| freeze.former(7).map(|record| record.json().to_owned());
        let first = freezes.begin();
        assert_eq!(former(&first), None);
        freezes.keep(7, record("a"));
        let second = freezes.begin();
        freezes.keep(7, record("b"));
        assert_eq!((former(&first).as_deref(), former(&second).as_deref()), (Some("a"), Some("b")));
        drop(first);
        assert_eq!((former(&second).as_deref(), freezes.state().former[&7].len()), (Some("b"), 1));
        drop(second);
        assert!(freezes.state().former.is_empty());
    }

    #[test]
    fn writers_wait_for_those_before_them_and_for_no_others() {
        let freezes = Freezes::default();
        freezes.wait_for_earlier();
        let (earlier, may_end) = (freezes.begin(), AtomicBool::new(false));
        let next = freezes.state().next;
        let _later = freezes.begin();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                freezes.wait_for_those_before(next);
                assert!(may_end.load(Ordering::SeqCst));
            });
            (0..1_000).for_each(|_| std::thread::yield_now());
            may_end.store(true, Ordering::SeqCst);
            drop(earlier);
            writer.join().unwrap();
        });
    }
}
