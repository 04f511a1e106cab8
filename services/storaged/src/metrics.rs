//! What the service counts besides its requests.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::Error;
use crate::store::Stored;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    puts: Family<OutcomeLabel, Counter>,
    durations: Family<OperationLabel, Histogram, fn() -> Histogram>,
}

fn histogram() -> Histogram {
    // 50 µs to 52 s.
    Histogram::new(exponential_buckets(0.00005, 2.0, 21))
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics {
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            puts: Family::default(),
            durations: Family::new_with_constructor(histogram as fn() -> Histogram),
        };
        registry.register_with_unit("object_in", "Received of objects", Unit::Bytes, metrics.bytes_in.clone());
        registry.register_with_unit("object_out", "Sent of objects", Unit::Bytes, metrics.bytes_out.clone());
        registry.register("object_puts", "Writes by how they ended", metrics.puts.clone());
        registry.register_with_unit(
            "backend_duration",
            "Operations of the backend; a write with the receiving of its body, a read up to its first bytes",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        metrics
    }

    pub(crate) fn count_put(&self, outcome: &Result<Stored, Error>) {
        let outcome = match outcome {
            Ok(Stored { created: Some(false), .. }) => "replaced",
            Ok(_) => "created",
            Err(Error::ConditionFailed { .. } | Error::AlreadyExists { .. } | Error::Conflict { .. }) => {
                "condition_failed"
            }
            Err(Error::TooLarge { .. }) => "too_large",
            Err(Error::Overloaded { .. }) => "overloaded",
            Err(Error::BodyBrokeOff(_) | Error::LengthDiffers { .. }) => "broken_off",
            Err(_) => "failed",
        };
        self.puts.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Awaits an operation of the backend and notes how long it took.
    pub(crate) async fn timed<T>(&self, operation: &'static str, running: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let outcome = running.await;
        self.durations.get_or_create(&OperationLabel { operation }).observe(started.elapsed().as_secs_f64());
        outcome
    }
}
