//! The vectors themselves: bytes to walk by, floats to decide by.
//!
//! Rows are plain memory that searches read while writers fill other rows. What keeps the two apart:
//!
//! - a row is written only by the holder of its [`Fresh`] slot, before the slot is published (as an
//!   item's slot, then in neighbour lists; both with release stores), or by [`Vectors::wipe`];
//! - a slot number reaches a reader only from what was published, and only while a [`Pin`] is held;
//! - a slot is wiped and given out again only when no pin is left from before it was unlinked (`seats`).

#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::query::{self, Query, Shape};
use super::scratch::Slot;
use super::seats::Pin;
use super::slab::Slab;
use crate::Metric;
use crate::simd::{Kernels, prefetch};

/// Bytes are padded to whole cache lines, so that rows do not share one and start at one.
const LINE_BYTES: usize = 64;
/// Rows handed to a kernel at once.
const ROWS: usize = 32;

/// A slot that was given out and not published yet: whoever has this is alone with the slot's row.
pub(super) struct Fresh {
    slot: Slot,
}

impl Fresh {
    /// Only for the one place that gives out slots (`space`), and only for slots that are quiet.
    pub(super) fn assume(slot: Slot) -> Self {
        Self { slot }
    }

    /// Ends the exclusive right, before publication.
    pub(super) fn into_slot(self) -> Slot {
        self.slot
    }
}

/// See the module.
pub(super) struct Vectors {
    metric: Metric,
    dimension: usize,
    kernels: Kernels,
    codes: Slab<u8>,
    shapes: Slab<AtomicU64>,
    floats: Slab<f32>,
}

impl Vectors {
    pub(super) fn new(metric: Metric, dimension: usize) -> Self {
        Self {
            metric,
            dimension,
            kernels: Kernels::detect(),
            codes: Slab::new(dimension.next_multiple_of(LINE_BYTES)),
            shapes: Slab::new(1),
            floats: Slab::new(dimension),
        }
    }

    pub(super) fn metric(&self) -> Metric {
        self.metric
    }

    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(super) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.codes.row_bytes() + self.shapes.row_bytes() + self.floats.row_bytes()
    }

    pub(super) fn reserve(&self, slots: u32) -> io::Result<()> {
        self.codes.reserve(slots)?;
        self.shapes.reserve(slots)?;
        self.floats.reserve(slots)
    }

    /// Fills a slot's row.
    pub(super) fn write(&self, fresh: &mut Fresh, components: &[f32]) {
        // SAFETY: `fresh` is the only right to this row, and exclusive here.
        let (codes, floats) =
            unsafe { (self.codes.row_mut_unguarded(fresh.slot), self.floats.row_mut_unguarded(fresh.slot)) };
        floats.copy_from_slice(components);
        let shape = query::store(self.metric, components, codes);
        self.shapes.at(fresh.slot).store(shape.to_bits(), Ordering::Relaxed);
    }

    /// Zeroes a slot's row.
    pub(super) fn wipe(&self, fresh: &mut Fresh) {
        // SAFETY: as in `write`.
        unsafe {
            self.codes.row_mut_unguarded(fresh.slot).fill(0);
            self.floats.row_mut_unguarded(fresh.slot).fill(0.0);
        }
        self.shapes.at(fresh.slot).store(0, Ordering::Relaxed);
    }

    #[inline]
    fn codes<'a>(&'a self, _: &'a Pin<'_>, slot: Slot) -> &'a [u8] {
        // SAFETY: published rows are not written while a pin is held (see the module).
        unsafe { self.codes.row_unguarded(slot) }
    }

    /// The components of a slot.
    #[inline]
    pub(super) fn floats<'a>(&'a self, _: &'a Pin<'_>, slot: Slot) -> &'a [f32] {
        // SAFETY: published rows are not written while a pin is held (see the module).
        unsafe { self.floats.row_unguarded(slot) }
    }

    #[inline]
    fn shape(&self, slot: Slot) -> Shape {
        Shape::from_bits(self.shapes.at(slot).load(Ordering::Relaxed))
    }

    /// Asks for a slot's bytes ahead of [`Self::distances`].
    #[inline]
    pub(super) fn prefetch(&self, pin: &Pin<'_>, slot: Slot) {
        prefetch(self.codes(pin, slot));
        prefetch(std::slice::from_ref(self.shapes.at(slot)));
    }

    /// Makes a query of floats, padded as rows are.
    pub(super) fn query(&self, query: &mut Query, components: &[f32]) {
        query.set(self.metric, components);
        query.codes.resize(self.codes.row_bytes(), 0);
    }

    /// Makes a query of a slot's bytes.
    pub(super) fn query_slot(&self, pin: &Pin<'_>, query: &mut Query, slot: Slot) {
        query.set_stored(self.metric, self.codes(pin, slot), self.shape(slot));
    }

    /// Distances by bytes, one per slot.
    #[inline]
    pub(super) fn distances(&self, pin: &Pin<'_>, query: &Query, slots: &[Slot], distances: &mut Vec<f32>) {
        distances.clear();
        for slots in slots.chunks(ROWS) {
            let mut rows: [&[u8]; ROWS] = [&[]; ROWS];
            let mut products = [0; ROWS];
            for (row, slot) in rows.iter_mut().zip(slots) {
                *row = self.codes(pin, *slot);
            }
            let products = &mut products[..slots.len()];
            self.kernels.dot_codes(&query.codes, &rows[..slots.len()], products);
            distances
                .extend(products.iter().zip(slots).map(|(product, slot)| query.distance(*product, self.shape(*slot))));
        }
    }

    /// The distance by floats.
    #[inline]
    pub(super) fn distance_exact(&self, pin: &Pin<'_>, components: &[f32], slot: Slot) -> f32 {
        self.metric.measure(&self.kernels, components, self.floats(pin, slot))
    }

    /// Asks for a slot's floats ahead of [`Self::distance_exact`].
    #[inline]
    pub(super) fn prefetch_exact(&self, pin: &Pin<'_>, slot: Slot) {
        prefetch(self.floats(pin, slot));
    }
}
