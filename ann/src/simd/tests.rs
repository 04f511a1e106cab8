use proptest::prelude::*;

use super::{Kernels, portable};

fn all() -> Vec<Kernels> {
    let mut all = vec![Kernels::detect()];
    #[cfg(target_arch = "x86_64")]
    all.extend(super::x86::avx512().into_iter().chain(super::x86::avx2()));
    all
}

/// Every byte that can be, in an order that differs from row to row.
fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 131 + seed * 71 + at * at * 7) % 256) as u8).collect()
}

#[test]
fn codes_of_every_dimension_and_row_count_equal_the_portable_ones() {
    for kernels in all() {
        for len in 1..=130 {
            let query: Vec<i8> = bytes(len, 3).into_iter().map(|byte| byte as i8).collect();
            for count in 0..=9 {
                let rows: Vec<Vec<u8>> = (0..count).map(|row| bytes(len, row + 5)).collect();
                let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
                let (mut found, mut expected) = (vec![0; count], vec![0; count]);
                kernels.dot_codes(&query, &rows, &mut found);
                portable::dot_codes(&query, &rows, &mut expected);
                assert_eq!(found, expected, "{} len {len}", kernels.name());
            }
        }
    }
}

#[test]
fn extreme_codes_do_not_saturate() {
    let (query, row) = (vec![-128_i8; 8192], vec![255_u8; 8192]);
    for kernels in all() {
        let mut found = [0];
        kernels.dot_codes(&query, &[&row], &mut found);
        assert_eq!(found[0], -128 * 255 * 8192, "{}", kernels.name());
    }
}

proptest! {
    #[test]
    fn floats_equal_the_portable_ones(len in 1_usize..=130, seed in any::<[f32; 4]>().prop_map(|s| s.map(|x| x % 8.0))) {
        let seed = seed.map(|x| if x.is_finite() { x } else { 0.5 });
        let a: Vec<f32> = (0..len).map(|at| (at as f32 * 0.37 + seed[0]).sin() + seed[1]).collect();
        let b: Vec<f32> = (0..len).map(|at| (at as f32 * 0.73 + seed[2]).cos() - seed[3]).collect();
        for kernels in all() {
            let (dot, l2) = (portable::dot(&a, &b), portable::l2(&a, &b));
            let room = 1e-5 * (len as f32) * 300.0;
            prop_assert!((kernels.dot(&a, &b) - dot).abs() <= room.min(1e-4 * (1.0 + l2.abs() + dot.abs()) * 4.0));
            prop_assert!((kernels.l2(&a, &b) - l2).abs() <= 1e-4 * (1.0 + l2));
        }
    }
}
