//! Who is reading: what lets writers recycle slots without making a search wait.
//!
//! A search takes a seat and notes the epoch there before it reads anything. Slots taken out of the graph
//! are retired under a new epoch, and given out again only when no seat holds an older one: until then
//! whatever a search still knows of them stays as it was. A seat also owns the memory that a search
//! needs, so that none is allocated per query.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use super::scratch::Scratch;

/// Seats that there are from the beginning.
const ROW: usize = 64;
/// Rows at most: more are set up as they are needed. Whoever sits at the same moment beyond all these seats
/// waits; no process has as many threads.
const ROWS: usize = 256;
/// The epoch of a seat that nobody sits on.
const EMPTY: u64 = 0;

/// See the module.
pub(super) struct Seats {
    epoch: AtomicU64,
    rows: Box<[OnceLock<Box<[Seat]>>]>,
    turn: AtomicUsize,
}

// A line of its own (two, as processors fetch them in pairs) per seat.
#[repr(align(128))]
#[derive(Default)]
struct Seat {
    epoch: AtomicU64,
    scratch: Mutex<Scratch>,
}

/// Proof that its holder's reads are noted: slots reached meanwhile are not recycled.
pub(super) struct Pin<'a> {
    epoch: &'a AtomicU64,
}

/// A pin and the memory that goes with it.
pub(super) struct Sitting<'a> {
    // Dropped in this order: unpinned before the seat is free for the next.
    pub(super) pin: Pin<'a>,
    pub(super) scratch: MutexGuard<'a, Scratch>,
}

impl Seats {
    pub(super) fn new() -> Self {
        let rows: Box<[OnceLock<Box<[Seat]>>]> = std::iter::repeat_with(OnceLock::new).take(ROWS).collect();
        rows[0].get_or_init(row);
        Self { epoch: AtomicU64::new(EMPTY + 1), rows, turn: AtomicUsize::new(0) }
    }

    /// Sits down. Waits only where every seat that there can be is taken.
    pub(super) fn sit(&self) -> Sitting<'_> {
        for seat in self.rows.iter().flat_map(|seats| seats.get_or_init(row)) {
            match seat.scratch.try_lock() {
                Ok(scratch) => return self.pin(seat, scratch),
                // A search that panicked left scratch memory behind, which every search sets up anew.
                Err(TryLockError::Poisoned(poisoned)) => return self.pin(seat, poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let seat = &self.rows[turn / ROW % ROWS].get_or_init(row)[turn % ROW];
        self.pin(seat, seat.scratch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those that were set up. A row that is being set up need not be among them: nobody sits there yet.
    fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.rows.iter().filter_map(OnceLock::get).flatten()
    }

    fn pin<'a>(&self, seat: &'a Seat, scratch: MutexGuard<'a, Scratch>) -> Sitting<'a> {
        // Release: whoever sees this seat at a late epoch also sees that earlier sitters are done reading.
        seat.epoch.store(self.epoch.load(Ordering::Relaxed), Ordering::Release);
        // Pairs with the fence in `is_quiet`: either that sees this seat taken, or the reads that follow
        // here see everything done before it, the unlinking included.
        fence(Ordering::SeqCst);
        Sitting { pin: Pin { epoch: &seat.epoch }, scratch }
    }

    /// Starts a new epoch and returns its number. What was unlinked before is out of reach for whoever
    /// sits down from now on.
    pub(super) fn advance(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether nobody who sat down before `epoch` still sits.
    pub(super) fn is_quiet(&self, epoch: u64) -> bool {
        fence(Ordering::SeqCst);
        self.seats().all(|seat| {
            let since = seat.epoch.load(Ordering::Acquire);
            since == EMPTY || since >= epoch
        })
    }

    /// Memory that seats hold for searches.
    pub(super) fn memory_bytes(&self) -> usize {
        self.seats().filter_map(|seat| seat.scratch.try_lock().ok()).map(|scratch| scratch.memory_bytes()).sum()
    }
}

fn row() -> Box<[Seat]> {
    std::iter::repeat_with(Seat::default).take(ROW).collect()
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.epoch.store(EMPTY, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_quiet_when_those_before_it_have_left() {
        let seats = Seats::new();
        let before = seats.sit();
        let epoch = seats.advance();
        assert!(!seats.is_quiet(epoch));
        let after = seats.sit();
        drop(before);
        assert!(seats.is_quiet(epoch));
        assert!(!seats.is_quiet(seats.advance()));
        drop(after);
    }

    /// Some sit for long, such as who writes a snapshot: nobody is to wait for them.
    #[test]
    fn there_is_a_seat_for_everybody_and_each_is_looked_at() {
        let seats = Seats::new();
        let mut taken: Vec<_> = (0..ROW * 3).map(|_| seats.sit()).collect();
        let epoch = seats.advance();
        let last = taken.pop();
        drop(taken);
        assert!(!seats.is_quiet(epoch), "one still sits in the last row");
        drop(last);
        assert!(seats.is_quiet(epoch));
    }
}
