//! Queries per second at a recall, between the settings that were measured.

use crate::stats;

/// One setting of one engine: its recall, and its rate in every round.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) recall: f64,
    pub(crate) rates: Vec<f64>,
}

/// The rate at `recall`, between the neighbouring settings with its logarithm linear in the recall. `None`
/// where no setting reaches that recall. Where every setting does, the rate of the fastest.
pub(crate) fn rate_at(points: &[Point], recall: f64) -> Option<f64> {
    let mut sorted: Vec<(f64, f64)> = points.iter().map(|point| (point.recall, stats::median(&point.rates))).collect();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let above = sorted.iter().position(|(found, _)| *found >= recall)?;
    let (high, rate_high) = sorted[above];
    let Some((low, rate_low)) = above.checked_sub(1).map(|below| sorted[below]) else {
        return sorted.iter().map(|(_, rate)| *rate).reduce(f64::max);
    };
    let share = (recall - low) / (high - low);
    Some((rate_low.ln() + share * (rate_high / rate_low).ln()).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(pairs: &[(f64, f64)]) -> Vec<Point> {
        pairs.iter().map(|(recall, rate)| Point { recall: *recall, rates: vec![1.0, *rate, 1e9] }).collect()
    }

    #[test]
    fn between_two_settings_the_logarithm_is_linear() {
        let points = points(&[(0.90, 4_000.0), (0.98, 250.0), (0.94, 1_000.0)]);
        let rate = |recall: f64| rate_at(&points, recall).unwrap();
        assert!((rate(0.96) - 500.0).abs() < 1e-6 && (rate(0.94) - 1_000.0).abs() < 1e-6, "{}", rate(0.96));
        assert_eq!(rate_at(&points, 0.99), None);
        assert_eq!(rate(0.5), 4_000.0);
    }
}
