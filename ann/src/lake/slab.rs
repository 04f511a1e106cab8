//! Rows of a fixed length that never move, in memory that grows by doubling.
//!
//! A row is found from its number without a lock: piece `p` holds `FIRST << p` rows, so that a number's
//! leading zeros tell its piece. Pieces are mapped as wanted and cost no memory until touched, so the
//! last, half-used one costs what is used of it.

#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags};

/// Rows of the first piece.
const FIRST: u32 = 1024;
/// Enough for 2^31 rows.
const PIECES: usize = 22;

/// What a row may consist of.
///
/// # Safety
/// All bytes zero is a value of the type, and the type needs no drop and at most a cache line's
/// alignment.
pub(super) unsafe trait Plain {}
// SAFETY (of all four): integers, floats and atomics: zero is a value, nothing is dropped.
unsafe impl Plain for u8 {}
unsafe impl Plain for f32 {}
unsafe impl Plain for AtomicU32 {}
unsafe impl Plain for AtomicU64 {}

/// See the module.
pub(super) struct Slab<T: Plain> {
    pieces: [AtomicPtr<T>; PIECES],
    stride: usize,
    growing: Mutex<()>,
    owns: PhantomData<T>,
}

// SAFETY: rows are handed out shared (atomics), or through unsafe functions whose callers keep readers
// and the writer of a row apart; the pieces themselves are only added, and dropped with the slab.
unsafe impl<T: Plain + Send> Send for Slab<T> {}
// SAFETY: as above.
unsafe impl<T: Plain + Send + Sync> Sync for Slab<T> {}

impl<T: Plain> Slab<T> {
    /// No rows yet; each will have `stride` elements.
    pub(super) fn new(stride: usize) -> Self {
        Self {
            pieces: [const { AtomicPtr::new(ptr::null_mut()) }; PIECES],
            stride,
            growing: Mutex::new(()),
            owns: PhantomData,
        }
    }

    /// Bytes of a row.
    pub(super) fn row_bytes(&self) -> usize {
        self.stride * size_of::<T>()
    }

    /// Makes sure that there are rows `0..count`; new ones are zero.
    pub(super) fn reserve(&self, count: u32) -> io::Result<()> {
        let Some(last) = count.checked_sub(1) else { return Ok(()) };
        let (last_piece, _) = place(last);
        if !self.pieces[last_piece].load(Ordering::Acquire).is_null() {
            return Ok(());
        }
        let _growing = self.growing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (index, piece) in self.pieces.iter().enumerate().take(last_piece + 1) {
            if piece.load(Ordering::Acquire).is_null() {
                piece.store(map(self.piece_bytes(index))?.cast().as_ptr(), Ordering::Release);
            }
        }
        Ok(())
    }

    fn piece_bytes(&self, piece: usize) -> usize {
        ((FIRST as usize) << piece) * self.row_bytes()
    }

    /// The first element of a row.
    ///
    /// # Panics
    /// Where the row has not been reserved: a number from elsewhere must not become a wild pointer.
    #[inline]
    fn first(&self, row: u32) -> *mut T {
        let (piece, offset) = place(row);
        let base = self.pieces[piece].load(Ordering::Acquire);
        assert!(!base.is_null(), "row {row} was never reserved");
        // SAFETY: the piece has `FIRST << piece` rows of `stride` elements, and `offset` is below that.
        unsafe { base.add(offset * self.stride) }
    }

    /// A row, shared.
    ///
    /// # Safety
    /// Nobody writes the row while the slice lives, unless the elements are atomic.
    #[inline]
    pub(super) unsafe fn row_unguarded(&self, row: u32) -> &[T] {
        // SAFETY: in bounds and aligned (see `first`), initialised (mapped memory is zero), and not
        // written meanwhile by the caller's word; it lives as long as the slab.
        unsafe { std::slice::from_raw_parts(self.first(row), self.stride) }
    }

    /// A row, for its only writer.
    ///
    /// # Safety
    /// Nobody else reads or writes the row while the slice lives.
    #[expect(clippy::mut_from_ref, reason = "rows are apart; the caller gives its word that this one is not shared")]
    pub(super) unsafe fn row_mut_unguarded(&self, row: u32) -> &mut [T] {
        // SAFETY: as for `row_unguarded`, and exclusive by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(self.first(row), self.stride) }
    }
}

impl Slab<AtomicU32> {
    /// A row of atomics, which anybody may read and write.
    #[inline]
    pub(super) fn row(&self, row: u32) -> &[AtomicU32] {
        // SAFETY: the elements are atomic.
        unsafe { self.row_unguarded(row) }
    }

    /// The only element of a row of one.
    #[inline]
    pub(super) fn at(&self, row: u32) -> &AtomicU32 {
        &self.row(row)[0]
    }
}

impl Slab<AtomicU64> {
    /// A row of atomics, which anybody may read and write.
    #[inline]
    pub(super) fn row(&self, row: u32) -> &[AtomicU64] {
        // SAFETY: the elements are atomic.
        unsafe { self.row_unguarded(row) }
    }

    /// The only element of a row of one.
    #[inline]
    pub(super) fn at(&self, row: u32) -> &AtomicU64 {
        &self.row(row)[0]
    }
}

impl<T: Plain> Drop for Slab<T> {
    fn drop(&mut self) {
        for index in 0..PIECES {
            let piece = *self.pieces[index].get_mut();
            if !piece.is_null() {
                // SAFETY: mapped with this length by `reserve`, and no row outlives the slab.
                let _ = unsafe { rustix::mm::munmap(piece.cast(), self.piece_bytes(index)) };
            }
        }
    }
}

/// The piece that a row lies in, and its number there.
#[inline]
fn place(row: u32) -> (usize, usize) {
    let shifted = row + FIRST;
    let piece = (FIRST.leading_zeros() - shifted.leading_zeros()) as usize;
    (piece, shifted as usize - ((FIRST as usize) << piece))
}

/// Zeroed memory, aligned to a page, in large pages where the system has them: rows are read in random
/// order, and small pages would miss the address cache at nearly every one.
fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a private anonymous mapping at an address of the kernel's choice touches nothing else.
    let start = unsafe {
        rustix::mm::mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?
    };
    const LARGE_PAGE_BYTES: usize = 2 << 20;
    if bytes >= 2 * LARGE_PAGE_BYTES {
        // SAFETY: the range was just mapped; the advice does not change its content. Refusal is no harm.
        let _ = unsafe { rustix::mm::madvise(start, bytes, Advice::LinuxHugepage) };
    }
    NonNull::new(start.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_apart_zero_at_first_and_stay_where_they_are() {
        let slab = Slab::<AtomicU32>::new(3);
        slab.reserve(1).expect("memory");
        slab.row(0)[2].store(7, Ordering::Relaxed);
        let before = slab.row(0).as_ptr();
        slab.reserve(5000).expect("memory");
        assert_eq!(before, slab.row(0).as_ptr());
        for row in 1..5000 {
            for element in slab.row(row) {
                assert_eq!(element.swap(row, Ordering::Relaxed), 0);
            }
        }
        assert!((1..5000).all(|row| slab.row(row).iter().all(|element| element.load(Ordering::Relaxed) == row)));
        assert_eq!(slab.row(0)[2].load(Ordering::Relaxed), 7);
    }

    #[test]
    #[should_panic(expected = "never reserved")]
    fn a_row_never_reserved_is_not_read() {
        Slab::<AtomicU32>::new(1).row(5000);
    }
}
