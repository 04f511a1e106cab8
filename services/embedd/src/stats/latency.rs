use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Buckets for each doubling: a quantile is at most an eighth too high.
const STEPS: usize = 8;
/// Up to 2^40 ns, eighteen minutes.
const DOUBLINGS: usize = 40;

/// How long something took, in buckets of nanoseconds: counting takes one addition and no lock.
#[derive(Debug)]
pub(crate) struct Latency(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    counts: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

/// Some of its quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Quantiles {
    pub(crate) p50: Duration,
    pub(crate) p95: Duration,
    pub(crate) p99: Duration,
}

impl Latency {
    pub(crate) fn new() -> Self {
        let counts = (0..STEPS * DOUBLINGS).map(|_| AtomicU64::new(0)).collect();
        Latency(Arc::new(Buckets { counts, sum_ns: AtomicU64::new(0) }))
    }

    /// `count` of them took `each`.
    pub(crate) fn add(&self, each: Duration, count: u64) {
        let ns = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX);
        self.0.counts[bucket(ns)].fetch_add(count, Ordering::Relaxed);
        self.0.sum_ns.fetch_add(ns.saturating_mul(count), Ordering::Relaxed);
    }

    /// Zeros where nothing was counted.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let counts = self.0.counts();
        let quantile = |q| Duration::from_nanos(quantile(&counts, q));
        Quantiles { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }
    }
}

impl Buckets {
    fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

/// Where a duration is counted: its highest bit and the three below it.
fn bucket(ns: u64) -> usize {
    let ns = ns.max(STEPS as u64);
    let doubling = ns.ilog2() as usize;
    let step = (ns >> (doubling - 3)) as usize - STEPS;
    (doubling * STEPS + step).min(STEPS * DOUBLINGS - 1)
}

/// The first duration beyond a bucket.
fn end(bucket: usize) -> u64 {
    let (doubling, step) = (bucket / STEPS, bucket % STEPS);
    if doubling < 3 { STEPS as u64 } else { ((STEPS + step + 1) as u64) << (doubling - 3) }
}

fn quantile(counts: &[u64], q: f64) -> u64 {
    let total: u64 = counts.iter().sum();
    let rank = (q * total as f64).ceil().max(1.0) as u64;
    let mut seen = 0;
    let found = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    found.filter(|_| total > 0).map_or(0, end)
}

/// Several, by their tiers, as Prometheus histograms of seconds: one bucket for each doubling from 128 ns.
#[derive(Debug)]
pub(crate) struct Exported(Vec<(TierLabel, Arc<Buckets>)>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierLabel {
    tier: &'static str,
}

impl Exported {
    pub(crate) fn new(tiers: &[(&'static str, &Latency)]) -> Self {
        Exported(tiers.iter().map(|(tier, latency)| (TierLabel { tier }, latency.0.clone())).collect())
    }
}

impl EncodeMetric for Exported {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (label, tier) in &self.0 {
            let counts = tier.counts();
            let sum = tier.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
            let count = counts.iter().sum();
            encoder.encode_family(label)?.encode_histogram::<NoLabelSet>(sum, count, &doublings(&counts), None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Where each bucket ends, in seconds, and its count.
fn doublings(counts: &[u64]) -> Vec<(f64, u64)> {
    // Everything up to 128 ns is one bucket.
    let first = 6;
    let doubling = |doubling: usize| counts[doubling * STEPS..(doubling + 1) * STEPS].iter().sum::<u64>();
    let end = |doubling: usize| if doubling + 1 < DOUBLINGS { (2_u64 << doubling) as f64 / 1e9 } else { f64::MAX };
    let short = (end(first), (0..=first).map(doubling).sum());
    let rest = (first + 1..DOUBLINGS).map(|each| (end(each), doubling(each)));
    std::iter::once(short).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_of_what_was_counted() {
        let latency = Latency::new();
        assert_eq!(latency.quantiles(), Quantiles::default());
        latency.add(Duration::from_micros(10), 90);
        latency.add(Duration::from_millis(1), 9);
        latency.add(Duration::from_secs(1), 1);
        let Quantiles { p50, p95, p99 } = latency.quantiles();
        let near = |found: Duration, real_us: f64| (1.0..1.126).contains(&(found.as_secs_f64() * 1e6 / real_us));
        assert!(near(p50, 10.0) && near(p95, 1e3) && near(p99, 1e3), "{p50:?} {p95:?} {p99:?}");
    }

    #[test]
    fn what_is_exported_has_each_count_once() {
        let latency = Latency::new();
        for (ns, count) in [(5, 1), (127, 2), (128, 4), (1_500, 8), (u64::MAX, 16)] {
            latency.add(Duration::from_nanos(ns), count);
        }
        let buckets: Vec<_> = doublings(&latency.0.counts()).into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(buckets, [(128e-9, 3), (256e-9, 4), (2048e-9, 8), (f64::MAX, 16)]);
    }

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_an_eighth_beyond_what_is_in_it(ns in 8_u64..1 << 40) {
            let end = end(bucket(ns));
            prop_assert!(end > ns && (end as f64) <= ns as f64 * 1.126, "{} {}", ns, end);
        }
    }
}
