//! Which slot holds which key, which slots wait to be linked, and which are free.
//!
//! A key's present slot is one atomic, so that a replaced vector changes for everybody at one moment. A
//! slot keeps its key after it lost it, marked: a walk that meets the old slot finds the item's new one.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::graph::LEVEL_MAX;
use super::scratch::Slot;
use super::slab::Slab;
use super::tail::Tail;
use super::vectors::Fresh;
use crate::{KEYS_MAX, Key};

/// In a slot's key: the slot lost it.
const LOST: u32 = 1 << 31;
/// In a slot's key: it lost it, and is out of the graph too.
const RETIRED: u32 = 1 << 30;
/// In a slot's key: nobody has linked the slot yet.
const WAITING: u32 = 1 << 29;
const MARKS: u32 = LOST | RETIRED | WAITING;
const _: () = assert!(KEYS_MAX < WAITING, "a key plus one must leave the marks free");

/// See the module.
pub(super) struct Space {
    /// Per key its slot plus one, or zero.
    slots: Slab<AtomicU32>,
    /// Per slot its key plus one, or zero, and the marks.
    keys: Slab<AtomicU32>,
    /// What searches scan.
    pub(super) tail: Tail,
    live: AtomicUsize,
    lost: AtomicUsize,
    /// Live slots that nobody has linked yet.
    waiting: AtomicUsize,
    slots_used: AtomicU32,
    keys_used: AtomicU32,
    free: Mutex<Free>,
}

/// What can be given out, and what will be when readers have left.
#[derive(Default)]
pub(super) struct Free {
    pub(super) slots: Vec<Slot>,
    /// Per level the first rows of runs of that many upper lists.
    pub(super) upper: [Vec<u32>; LEVEL_MAX],
    pub(super) upper_used: u32,
    /// By epoch: slots whose last readers may still be there.
    pub(super) retired: VecDeque<(u64, Vec<Slot>)>,
}

impl Space {
    pub(super) fn new() -> Self {
        Self {
            slots: Slab::new(1),
            keys: Slab::new(1),
            tail: Tail::new(),
            live: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            slots_used: AtomicU32::new(0),
            keys_used: AtomicU32::new(0),
            free: Mutex::default(),
        }
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.slots.row_bytes() + self.keys.row_bytes()
    }

    pub(super) fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a key.
    pub(super) fn reserve_key(&self, key: Key) -> io::Result<()> {
        self.slots.reserve(key + 1)?;
        self.keys_used.fetch_max(key + 1, Ordering::AcqRel);
        Ok(())
    }

    /// Makes room for slots up to a number.
    pub(super) fn reserve_slots(&self, count: u32) -> io::Result<()> {
        self.keys.reserve(count)?;
        self.tail.reserve(count)
    }

    /// Slots in use, free ones between them included, are below it.
    pub(super) fn slots_used(&self) -> u32 {
        self.slots_used.load(Ordering::Acquire)
    }

    pub(super) fn set_slots_used(&self, used: u32) {
        self.slots_used.store(used, Ordering::Release);
    }

    /// Keys in use are below it.
    pub(super) fn keys_used(&self) -> u32 {
        self.keys_used.load(Ordering::Acquire)
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    pub(super) fn lost(&self) -> usize {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Makes a slot its key's present one, which waits to be linked; whether the key had another before.
    pub(super) fn publish(&self, key: Key, fresh: Fresh) -> bool {
        let slot = fresh.into_slot();
        self.keys.at(slot).store((key + 1) | WAITING, Ordering::Release);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        // Before the key changes over, so that a scan meets the item under one slot or the other.
        self.tail.add(slot);
        // Release: who finds the slot by its key also sees its vector.
        let before = self.slots.at(key).swap(slot + 1, Ordering::AcqRel);
        if before == 0 {
            self.live.fetch_add(1, Ordering::AcqRel);
        } else {
            self.lose(before - 1);
        }
        before != 0
    }

    /// Takes a key's slot from it; whether it had one.
    pub(super) fn remove(&self, key: Key) -> bool {
        if key >= self.keys_used() {
            return false;
        }
        let before = self.slots.at(key).swap(0, Ordering::AcqRel);
        if let Some(slot) = before.checked_sub(1) {
            self.live.fetch_sub(1, Ordering::AcqRel);
            self.lose(slot);
            self.tail.remove(slot);
        }
        before != 0
    }

    /// A slot that waits as it loses its key for another slot stays in the tail until nobody looks at it:
    /// a scan in progress may have passed the new slot's place before it was taken.
    fn lose(&self, slot: Slot) {
        let before = self.keys.at(slot).fetch_or(LOST, Ordering::AcqRel);
        self.lost.fetch_add(1, Ordering::AcqRel);
        if before & WAITING != 0 {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Notes that walks get to a slot now.
    pub(super) fn linked(&self, slot: Slot) {
        let before = self.keys.at(slot).fetch_and(!WAITING, Ordering::AcqRel);
        if before & (WAITING | LOST) == WAITING {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        self.tail.remove(slot);
    }

    /// Marks a slot that lost its key as leaving the graph; readers may still look at it.
    pub(super) fn retire(&self, slot: Slot) {
        self.keys.at(slot).fetch_or(RETIRED, Ordering::AcqRel);
    }

    /// Notes that so many retired slots have left the graph.
    pub(super) fn left(&self, slots: usize) {
        self.lost.fetch_sub(slots, Ordering::AcqRel);
    }

    /// Forgets the key of a retired slot that nobody looks at any more.
    pub(super) fn clear(&self, slot: Slot) {
        self.tail.remove(slot);
        self.keys.at(slot).store(0, Ordering::Release);
    }

    /// The key that a slot holds or held.
    #[inline]
    pub(super) fn key(&self, slot: Slot) -> Option<Key> {
        (self.keys.at(slot).load(Ordering::Acquire) & !MARKS).checked_sub(1)
    }

    /// Whether a slot holds its key still.
    #[inline]
    pub(super) fn holds(&self, slot: Slot) -> bool {
        let key = self.keys.at(slot).load(Ordering::Acquire);
        key != 0 && key & LOST == 0
    }

    /// Whether a slot holds its key still, and has been linked.
    pub(super) fn is_linked(&self, slot: Slot) -> bool {
        let key = self.keys.at(slot).load(Ordering::Acquire);
        key != 0 && key & (LOST | WAITING) == 0
    }

    /// Whether lists name a slot, or may: it has been linked and not been retired, whether it lost its key
    /// or not.
    pub(super) fn in_graph(&self, slot: Slot) -> bool {
        let key = self.keys.at(slot).load(Ordering::Acquire);
        key != 0 && key & (RETIRED | WAITING) == 0
    }

    /// Whether a slot has been retired, or never had a key.
    pub(super) fn is_gone(&self, slot: Slot) -> bool {
        let key = self.keys.at(slot).load(Ordering::Acquire);
        key == 0 || key & RETIRED != 0
    }

    /// Whether a slot holds its key still, and nobody has linked it.
    pub(super) fn waits(&self, slot: Slot) -> bool {
        self.keys.at(slot).load(Ordering::Acquire) & (LOST | WAITING) == WAITING
    }

    /// Whether a slot has lost its key and waits to be unlinked.
    pub(super) fn has_lost(&self, slot: Slot) -> bool {
        self.keys.at(slot).load(Ordering::Acquire) & (LOST | RETIRED) == LOST
    }

    /// The present slot of a key.
    #[inline]
    pub(super) fn slot(&self, key: Key) -> Option<Slot> {
        if key >= self.keys_used() {
            return None;
        }
        self.slots.at(key).load(Ordering::Acquire).checked_sub(1)
    }
}
