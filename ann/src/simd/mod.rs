//! Dot products and distances, by the widest instructions that the running processor has.
//!
//! Codes are stored as unsigned bytes (`value + 128`) and queries as signed ones, because that is the
//! pair of operands the byte dot product of x86 (`vpdpbusd`) takes; a caller subtracts
//! `128 × sum(query)` to get the product of the values.
//!
//! Invariant: every implementation returns exactly what [`portable`] returns for codes, and the same up
//! to the order of summation for floats.

#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

/// One product per row of bytes with the same query; row lengths equal the query's.
type DotCodes = fn(&[i8], &[&[u8]], &mut [i32]);
/// A sum over pairs of floats; both slices have the same length.
type Pairwise = fn(&[f32], &[f32]) -> f32;

/// The kernels of one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    name: &'static str,
    dot_codes: DotCodes,
    dot: Pairwise,
    l2: Pairwise,
}

impl Kernels {
    /// The best that this processor can run.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernels) = x86::detect() {
            return kernels;
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(kernels) = neon::detect() {
            return kernels;
        }
        portable::KERNELS
    }

    /// Which instruction set these use.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// `out[i] = Σ query[j] × rows[i][j]`, bytes of rows unsigned.
    ///
    /// # Panics
    /// Where a row is not as long as the query, or `out` not as long as `rows`.
    pub(crate) fn dot_codes(&self, query: &[i8], rows: &[&[u8]], out: &mut [i32]) {
        assert_eq!(rows.len(), out.len());
        assert!(rows.iter().all(|row| row.len() == query.len()));
        (self.dot_codes)(query, rows, out);
    }

    /// `Σ a[j] × b[j]`.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub(crate) fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        (self.dot)(a, b)
    }

    /// `Σ (a[j] − b[j])²`.
    ///
    /// # Panics
    /// Where the lengths differ.
    pub(crate) fn l2(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        (self.l2)(a, b)
    }
}

/// Asks for a row's cache lines ahead of their use: into the second-level cache, since a first-level one has
/// room for few reads under way, and whoever asks for a list of rows would wait for that room.
#[inline]
pub(crate) fn prefetch<T>(row: &[T]) {
    const LINE_BYTES: usize = 64;
    let first = row.as_ptr().cast::<u8>();
    for offset in (0..size_of_val(row)).step_by(LINE_BYTES) {
        let line = first.wrapping_add(offset);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing that a program can see and cannot fault; `line` lies in `row`.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(line.cast());
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above; the instruction changes no register and no memory.
        unsafe {
            std::arch::asm!("prfm pldl2keep, [{line}]", line = in(reg) line, options(nostack, preserves_flags, readonly));
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let _ = line;
    }
}

#[cfg(test)]
mod tests;
