//! Recall, and the exact answers that it is counted against where a filter narrows the items.

use crate::vectors::{K, Set};

/// Partial sums, so that the compiler adds several products at once.
const LANES: usize = 16;

/// The share of the truly nearest that were found, over all queries.
pub(crate) fn recall(found: &[Vec<u32>], truth: &[Vec<u32>]) -> f64 {
    let hits = found.iter().zip(truth).flat_map(|(mine, all)| all.iter().filter(|row| mine.contains(row))).count();
    let wanted: usize = truth.iter().map(Vec::len).sum();
    hits as f64 / wanted as f64
}

/// For each of the first `queries` queries the nearest items among `rows` by dot product, the nearest
/// first: ten, or all there are.
pub(crate) fn nearest(set: &Set, queries: usize, rows: &[u32]) -> Vec<Vec<u32>> {
    set.queries().take(queries).map(|query| nearest_to(set, query, rows)).collect()
}

/// `rows` with their order by nearness, the nearest first.
pub(crate) fn by_nearness(set: &Set, query: &[f32], rows: impl IntoIterator<Item = u32>) -> Vec<(f32, u32)> {
    let mut near: Vec<_> = rows.into_iter().map(|row| (-dot(query, set.item(row as usize)), row)).collect();
    near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    near
}

fn nearest_to(set: &Set, query: &[f32], rows: &[u32]) -> Vec<u32> {
    by_nearness(set, query, rows.iter().copied()).into_iter().take(K).map(|(_, row)| row).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_what_was_found_of_the_truth() {
        let truth = [vec![1, 2], vec![3, 4]];
        assert_eq!(recall(&[vec![2, 1], vec![3, 9]], &truth), 0.75);
        // Fewer match than are wanted: all found is all.
        assert_eq!(recall(&[vec![7]], &[vec![7]]), 1.0);
    }

    #[test]
    fn the_nearest_are_taken_from_the_rows_alone() {
        let set = Set::of(2, vec![1.0, 0.0, 0.8, 0.6, 0.0, 1.0]);
        assert_eq!(nearest(&set, 2, &[0, 2]), [vec![0, 2], vec![0, 2]]);
        assert_eq!(nearest(&set, 3, &[0, 1, 2])[2], [2, 1, 0]);
    }

    #[test]
    fn a_dot_product_has_its_rest() {
        let a: Vec<f32> = (0..19).map(|x| x as f32).collect();
        assert_eq!(dot(&a, &a), (0..19).map(|x| (x * x) as f32).sum::<f32>());
    }
}
