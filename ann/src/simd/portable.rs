//! What the other implementations are measured against, and what runs where none of them can.

use super::Kernels;

pub(super) const KERNELS: Kernels = Kernels { name: "portable", dot_codes, dot, l2 };

const LANES: usize = 16;

pub(super) fn dot_codes(query: &[i8], rows: &[&[u8]], out: &mut [i32]) {
    for (row, out) in rows.iter().zip(out) {
        *out = query.iter().zip(*row).map(|(q, c)| i32::from(*q) * i32::from(*c)).sum();
    }
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    lanes(a, b, |x, y| x * y)
}

pub(super) fn l2(a: &[f32], b: &[f32]) -> f32 {
    lanes(a, b, |x, y| (x - y) * (x - y))
}

/// Sums in lanes, which compilers turn into vectors where one running sum would forbid it.
fn lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_lanes, a_tail) = a.as_chunks::<LANES>();
    let (b_lanes, b_tail) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (x, y) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += term(x[lane], y[lane]);
        }
    }
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(x, y)| term(*x, *y)).sum();
    sums.iter().sum::<f32>() + tail
}
