//! What ingestd counts and times.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// A part of an ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Phase {
    /// The body comes in.
    Receive,
    /// The file is opened: format, dialect, types.
    Open,
    /// Rows are parsed, encoded and stored, all at once.
    Convert,
    /// The version is registered.
    Commit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: Phase,
}

fn histogram() -> Histogram {
    // 1 ms to 35 min.
    Histogram::new(exponential_buckets(0.001, 2.0, 22))
}

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) rows: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) rejects: Counter,
    pub(crate) running: Gauge,
    pub(crate) spooled_bytes: Gauge,
    phases: Phases,
}

type Phases = Arc<Family<PhaseLabel, Histogram, fn() -> Histogram>>;

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let phases = Family::new_with_constructor(histogram as fn() -> Histogram);
        let metrics = Metrics {
            rows: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            rejects: Counter::default(),
            running: Gauge::default(),
            spooled_bytes: Gauge::default(),
            phases: Arc::new(phases.clone()),
        };
        registry.register("ingest_rows", "Rows of registered versions", metrics.rows.clone());
        registry.register("ingest_received_bytes", "Bytes of bodies, as they came", metrics.bytes_in.clone());
        registry.register("ingest_written_bytes", "Bytes of Parquet registered", metrics.bytes_out.clone());
        registry.register("ingest_rejects", "Rows skipped by on_error=skip", metrics.rejects.clone());
        registry.register("ingest_running", "Ingests under way", metrics.running.clone());
        registry.register("ingest_spooled_bytes", "Bytes that wait on disk", metrics.spooled_bytes.clone());
        registry.register_with_unit("ingest_phase", "Parts of an ingest", Unit::Seconds, phases);
        metrics
    }

    pub(crate) fn time(&self, phase: Phase, elapsed: Duration) {
        self.phases.get_or_create(&PhaseLabel { phase }).observe(elapsed.as_secs_f64());
    }
}
