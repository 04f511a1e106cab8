//! AVX-512 with VNNI, and AVX2 with FMA.

use std::arch::x86_64::*;

use super::{Kernels, portable};

pub(super) fn detect() -> Option<Kernels> {
    avx512().or_else(avx2)
}

pub(super) fn avx512() -> Option<Kernels> {
    let has = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni");
    has.then_some(Kernels {
        name: "avx512-vnni",
        // SAFETY (of all three): the features that they were compiled for have just been detected.
        dot_codes: |query, rows, out| unsafe { dot_codes_avx512(query, rows, out) },
        dot: |a, b| unsafe { dot_avx512(a, b) },
        l2: |a, b| unsafe { l2_avx512(a, b) },
    })
}

pub(super) fn avx2() -> Option<Kernels> {
    let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    has.then_some(Kernels {
        name: "avx2",
        // SAFETY (of all three): the features that they were compiled for have just been detected.
        dot_codes: |query, rows, out| unsafe { dot_codes_avx2(query, rows, out) },
        dot: |a, b| unsafe { dot_avx2(a, b) },
        l2: |a, b| unsafe { l2_avx2(a, b) },
    })
}

/// Four rows at a time: a query's line is loaded once for all of them, and four independent sums hide
/// the latency of the multiply-add.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_codes_avx512(query: &[i8], rows: &[&[u8]], out: &mut [i32]) {
    const LINE: usize = 64;
    let whole = query.len() - query.len() % LINE;
    // All ones in the first `len % 64` bytes; what lies behind them is neither read nor summed.
    let mask: u64 = (1_u64 << (query.len() - whole)) - 1;
    let (fours, rest) = rows.as_chunks::<4>();
    let (out_fours, out_rest) = out.as_chunks_mut::<4>();
    for (rows, out) in fours.iter().zip(out_fours) {
        let mut sums = [_mm512_setzero_si512(); 4];
        for at in (0..whole).step_by(LINE) {
            // SAFETY: `at + 64 <= whole <= len` of the query and of every row (checked in `Kernels`).
            let q = unsafe { _mm512_loadu_si512(query.as_ptr().add(at).cast()) };
            for (sum, row) in sums.iter_mut().zip(rows) {
                // SAFETY: as above.
                let r = unsafe { _mm512_loadu_si512(row.as_ptr().add(at).cast()) };
                *sum = _mm512_dpbusd_epi32(*sum, r, q);
            }
        }
        if mask != 0 {
            // SAFETY: masked-off bytes are not accessed; the others lie before `len`.
            let q = unsafe { _mm512_maskz_loadu_epi8(mask, query.as_ptr().add(whole)) };
            for (sum, row) in sums.iter_mut().zip(rows) {
                // SAFETY: as above.
                let r = unsafe { _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(whole).cast()) };
                *sum = _mm512_dpbusd_epi32(*sum, r, q);
            }
        }
        *out = sums.map(|sum| _mm512_reduce_add_epi32(sum));
    }
    for (row, out) in rest.iter().zip(out_rest) {
        let mut sum = _mm512_setzero_si512();
        for at in (0..whole).step_by(LINE) {
            // SAFETY: as above.
            let (q, r) = unsafe {
                (_mm512_loadu_si512(query.as_ptr().add(at).cast()), _mm512_loadu_si512(row.as_ptr().add(at).cast()))
            };
            sum = _mm512_dpbusd_epi32(sum, r, q);
        }
        if mask != 0 {
            // SAFETY: as above.
            let (q, r) = unsafe {
                (
                    _mm512_maskz_loadu_epi8(mask, query.as_ptr().add(whole)),
                    _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(whole).cast()),
                )
            };
            sum = _mm512_dpbusd_epi32(sum, r, q);
        }
        *out = _mm512_reduce_add_epi32(sum);
    }
}

/// Bytes widened to words first: the byte multiply-add of AVX2 saturates at 2 × 255 × 127.
#[target_feature(enable = "avx2")]
fn dot_codes_avx2(query: &[i8], rows: &[&[u8]], out: &mut [i32]) {
    const HALF: usize = 16;
    let whole = query.len() - query.len() % HALF;
    for (row, out) in rows.iter().zip(out.iter_mut()) {
        let mut sums = [_mm256_setzero_si256(); 2];
        for (turn, at) in (0..whole).step_by(HALF).enumerate() {
            // SAFETY: `at + 16 <= whole <= len` of the query and of the row (checked in `Kernels`).
            let (q, r) = unsafe {
                (_mm_loadu_si128(query.as_ptr().add(at).cast()), _mm_loadu_si128(row.as_ptr().add(at).cast()))
            };
            let product = _mm256_madd_epi16(_mm256_cvtepi8_epi16(q), _mm256_cvtepu8_epi16(r));
            sums[turn % 2] = _mm256_add_epi32(sums[turn % 2], product);
        }
        let sum = _mm256_add_epi32(sums[0], sums[1]);
        let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b_00_00_11_10>(half));
        let one = _mm_add_epi32(pair, _mm_shuffle_epi32::<0b_00_00_00_01>(pair));
        let mut tail = [0];
        portable::dot_codes(&query[whole..], &[&row[whole..]], &mut tail);
        *out = _mm_cvtsi128_si32(one) + tail[0];
    }
}

macro_rules! pairwise_avx512 {
    ($name:ident, |$sum:ident, $x:ident, $y:ident| $step:expr) => {
        #[target_feature(enable = "avx512f")]
        fn $name(a: &[f32], b: &[f32]) -> f32 {
            const LANES: usize = 16;
            let mut sums = [_mm512_setzero_ps(); 4];
            let mut at = 0;
            while at + 4 * LANES <= a.len() {
                for (turn, $sum) in sums.iter_mut().enumerate() {
                    // SAFETY: `at + 64 <= len` of both slices (equal lengths, checked in `Kernels`).
                    let ($x, $y) = unsafe {
                        (
                            _mm512_loadu_ps(a.as_ptr().add(at + turn * LANES)),
                            _mm512_loadu_ps(b.as_ptr().add(at + turn * LANES)),
                        )
                    };
                    *$sum = $step;
                }
                at += 4 * LANES;
            }
            while at < a.len() {
                let left = (a.len() - at).min(LANES);
                let mask = ((1_u32 << left) - 1) as __mmask16;
                // SAFETY: masked-off lanes are not accessed; the others lie before `len`.
                let ($x, $y) = unsafe {
                    (_mm512_maskz_loadu_ps(mask, a.as_ptr().add(at)), _mm512_maskz_loadu_ps(mask, b.as_ptr().add(at)))
                };
                let $sum = &mut sums[0];
                *$sum = $step;
                at += left;
            }
            _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])))
        }
    };
}

pairwise_avx512!(dot_avx512, |sum, x, y| _mm512_fmadd_ps(x, y, *sum));
pairwise_avx512!(l2_avx512, |sum, x, y| {
    let gap = _mm512_sub_ps(x, y);
    _mm512_fmadd_ps(gap, gap, *sum)
});

macro_rules! pairwise_avx2 {
    ($name:ident, $tail:path, |$sum:ident, $x:ident, $y:ident| $step:expr) => {
        #[target_feature(enable = "avx2,fma")]
        fn $name(a: &[f32], b: &[f32]) -> f32 {
            const LANES: usize = 8;
            let mut sums = [_mm256_setzero_ps(); 4];
            let whole = a.len() - a.len() % LANES;
            for (turn, at) in (0..whole).step_by(LANES).enumerate() {
                // SAFETY: `at + 8 <= whole <= len` of both slices (equal lengths, checked in `Kernels`).
                let ($x, $y) = unsafe { (_mm256_loadu_ps(a.as_ptr().add(at)), _mm256_loadu_ps(b.as_ptr().add(at))) };
                let $sum = &mut sums[turn % 4];
                *$sum = $step;
            }
            let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
            let half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
            let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
            let one = _mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair));
            _mm_cvtss_f32(one) + $tail(&a[whole..], &b[whole..])
        }
    };
}

pairwise_avx2!(dot_avx2, portable::dot, |sum, x, y| _mm256_fmadd_ps(x, y, *sum));
pairwise_avx2!(l2_avx2, portable::l2, |sum, x, y| {
    let gap = _mm256_sub_ps(x, y);
    _mm256_fmadd_ps(gap, gap, *sum)
});
