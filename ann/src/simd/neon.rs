//! NEON, which every 64-bit ARM processor has.

use std::arch::aarch64::*;

use super::{Kernels, portable};

pub(super) fn detect() -> Option<Kernels> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(Kernels {
        name: "neon",
        // SAFETY (of all three): the feature that they were compiled for has just been detected.
        dot_codes: |query, rows, out| unsafe { dot_codes_neon(query, rows, out) },
        dot: |a, b| unsafe { dot_neon(a, b) },
        l2: |a, b| unsafe { l2_neon(a, b) },
    })
}

/// A row's byte `c` stands for `c − 128`, whose product with the query is taken signed; `128 × sum` is
/// added back, so that the answer is the same as everywhere.
#[target_feature(enable = "neon")]
fn dot_codes_neon(query: &[i8], rows: &[&[u8]], out: &mut [i32]) {
    const LANES: usize = 16;
    let whole = query.len() - query.len() % LANES;
    let total: i32 = query[..whole].iter().map(|q| i32::from(*q)).sum();
    for (row, out) in rows.iter().zip(out.iter_mut()) {
        let mut sums = [vdupq_n_s32(0); 2];
        for at in (0..whole).step_by(LANES) {
            // SAFETY: `at + 16 <= whole <= len` of the query and of the row (checked in `Kernels`).
            let (q, r) = unsafe { (vld1q_s8(query.as_ptr().add(at)), vld1q_u8(row.as_ptr().add(at))) };
            let r = vreinterpretq_s8_u8(veorq_u8(r, vdupq_n_u8(0x80)));
            sums[0] = vpadalq_s16(sums[0], vmull_s8(vget_low_s8(q), vget_low_s8(r)));
            sums[1] = vpadalq_s16(sums[1], vmull_high_s8(q, r));
        }
        let mut tail = [0];
        portable::dot_codes(&query[whole..], &[&row[whole..]], &mut tail);
        *out = vaddvq_s32(vaddq_s32(sums[0], sums[1])) + 128 * total + tail[0];
    }
}

macro_rules! pairwise_neon {
    ($name:ident, $tail:path, |$sum:ident, $x:ident, $y:ident| $step:expr) => {
        #[target_feature(enable = "neon")]
        fn $name(a: &[f32], b: &[f32]) -> f32 {
            const LANES: usize = 4;
            let mut sums = [vdupq_n_f32(0.0); 4];
            let whole = a.len() - a.len() % LANES;
            for (turn, at) in (0..whole).step_by(LANES).enumerate() {
                // SAFETY: `at + 4 <= whole <= len` of both slices (equal lengths, checked in `Kernels`).
                let ($x, $y) = unsafe { (vld1q_f32(a.as_ptr().add(at)), vld1q_f32(b.as_ptr().add(at))) };
                let $sum = &mut sums[turn % 4];
                *$sum = $step;
            }
            let sum = vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3]));
            vaddvq_f32(sum) + $tail(&a[whole..], &b[whole..])
        }
    };
}

pairwise_neon!(dot_neon, portable::dot, |sum, x, y| vfmaq_f32(*sum, x, y));
pairwise_neon!(l2_neon, portable::l2, |sum, x, y| {
    let gap = vsubq_f32(x, y);
    vfmaq_f32(*sum, gap, gap)
});
