//! What `/metrics` shows besides the requests.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    pub(crate) outcome: &'static str,
}

/// Cheap to clone: all share the same values.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) datasets: Gauge,
    pub(crate) poisoned: Gauge,
    pub(crate) running: Gauge,
    pub(crate) waiting: Gauge,
    pub(crate) statements: Family<Outcome, Counter>,
    pub(crate) rows: Counter,
    pub(crate) duration: Histogram,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics {
            datasets: Gauge::default(),
            poisoned: Gauge::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            statements: Family::default(),
            rows: Counter::default(),
            // 200 µs to 26 s.
            duration: Histogram::new(exponential_buckets(0.0002, 2.0, 18)),
        };
        registry.register("queryd_datasets", "Datasets known", metrics.datasets.clone());
        registry.register("queryd_manifests_poisoned", "Manifests that cannot be used", metrics.poisoned.clone());
        registry.register("queryd_statements_running", "Statements running", metrics.running.clone());
        registry.register("queryd_statements_waiting", "Statements waiting for a place", metrics.waiting.clone());
        registry.register("queryd_statements", "Statements that ran, by how they ended", metrics.statements.clone());
        registry.register("queryd_rows", "Rows answered", metrics.rows.clone());
        registry.register_with_unit(
            "queryd_statement_duration",
            "From a statement's start to its last row",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        metrics
    }

    pub(crate) fn ended(&self, outcome: &'static str) {
        self.statements.get_or_create(&Outcome { outcome }).inc();
    }
}
