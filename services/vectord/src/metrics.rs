//! What `/metrics` shows.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IndexLabel {
    index: String,
}

/// Counters of the whole service.
#[derive(Default)]
pub(crate) struct Metrics {
    pub(crate) indexes: Gauge,
    pub(crate) broken: Counter,
    pub(crate) searches: Counter,
    pub(crate) added: Counter,
    pub(crate) deleted: Counter,
    pub(crate) snapshots: Counter,
    pub(crate) memory_bytes: Gauge,
    unreachable: Family<IndexLabel, Gauge>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        registry.register("vectord_indexes", "Indexes there are", metrics.indexes.clone());
        registry.register("vectord_broken_indexes", "Indexes that could not be loaded", metrics.broken.clone());
        registry.register("vectord_searches", "Vectors searched around", metrics.searches.clone());
        registry.register("vectord_added", "Items added or updated", metrics.added.clone());
        registry.register("vectord_deleted", "Items deleted", metrics.deleted.clone());
        registry.register("vectord_snapshots", "Snapshots taken", metrics.snapshots.clone());
        registry.register("vectord_memory_bytes", "Memory of all indexes", metrics.memory_bytes.clone());
        registry.register(
            "vectord_unreachable_items",
            "Items that no search gets to, when it was last counted: 0, or something is wrong",
            metrics.unreachable.clone(),
        );
        metrics
    }

    pub(crate) fn unreachable(&self, index: &str, items: usize) {
        self.unreachable.get_or_create(&IndexLabel { index: index.to_owned() }).set(items as i64);
    }

    /// An index that is no more.
    pub(crate) fn forget(&self, index: &str) {
        self.unreachable.remove(&IndexLabel { index: index.to_owned() });
    }
}
