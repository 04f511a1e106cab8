//! What `/metrics` shows.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::follow::{FollowStatus, Following};
use crate::index::Index;
use crate::store::Applied;

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
    pub(crate) texts: Counter,
    pub(crate) added: Counter,
    pub(crate) deleted: Counter,
    pub(crate) snapshots: Counter,
    pub(crate) memory_bytes: Gauge,
    unreachable: Family<IndexLabel, Gauge>,
    follow_version: Family<IndexLabel, Gauge>,
    follow_target: Family<IndexLabel, Gauge>,
    follow_rows_left: Family<IndexLabel, Gauge>,
    follow_failed: Family<IndexLabel, Gauge>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        registry.register("vectord_indexes", "Indexes there are", metrics.indexes.clone());
        registry.register("vectord_broken_indexes", "Indexes that could not be loaded", metrics.broken.clone());
        registry.register("vectord_searches", "Vectors searched around", metrics.searches.clone());
        registry.register("vectord_texts", "Texts that embedd made vectors of", metrics.texts.clone());
        registry.register("vectord_added", "Items added or updated", metrics.added.clone());
        registry.register("vectord_deleted", "Items deleted", metrics.deleted.clone());
        registry.register("vectord_snapshots", "Snapshots taken", metrics.snapshots.clone());
        registry.register("vectord_memory_bytes", "Memory of all indexes", metrics.memory_bytes.clone());
        registry.register(
            "vectord_unreachable_items",
            "Items that no search gets to, when it was last counted: 0, or something is wrong",
            metrics.unreachable.clone(),
        );
        for (name, help, family) in [
            ("vectord_follow_version", "The version of its dataset that an index holds", &metrics.follow_version),
            (
                "vectord_follow_target_version",
                "The version of its dataset that is being brought into an index, or cannot be; 0: none",
                &metrics.follow_target,
            ),
            (
                "vectord_follow_rows_left",
                "Rows of the target version that are still to be brought in",
                &metrics.follow_rows_left,
            ),
            ("vectord_follow_failed", "1 where a version cannot be brought in", &metrics.follow_failed),
        ] {
            registry.register(name, help, family.clone());
        }
        metrics
    }

    pub(crate) fn applied(&self, applied: Applied) {
        self.added.inc_by((applied.added + applied.updated) as u64);
        self.deleted.inc_by(applied.deleted as u64);
    }

    /// How far an index has followed its source.
    pub(crate) fn follows(&self, index: &Index) {
        let Some(told) = index.following.as_ref().map(Following::progress) else { return };
        let label = IndexLabel { index: index.settings.name.to_string() };
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let left =
            if told.target_version == 0 { 0 } else { told.rows_total.unwrap_or(0).saturating_sub(told.rows_done) };
        self.follow_version.get_or_create(&label).set(number(told.version));
        self.follow_target.get_or_create(&label).set(number(told.target_version));
        self.follow_rows_left.get_or_create(&label).set(number(left));
        self.follow_failed.get_or_create(&label).set(i64::from(told.status == FollowStatus::Failed));
    }

    pub(crate) fn unreachable(&self, index: &str, items: usize) {
        self.unreachable.get_or_create(&IndexLabel { index: index.to_owned() }).set(items as i64);
    }

    /// An index that is no more.
    pub(crate) fn forget(&self, index: &str) {
        let label = IndexLabel { index: index.to_owned() };
        for family in
            [&self.unreachable, &self.follow_version, &self.follow_target, &self.follow_rows_left, &self.follow_failed]
        {
            family.remove(&label);
        }
    }
}
