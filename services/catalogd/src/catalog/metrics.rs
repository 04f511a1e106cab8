//! What `/metrics` shows, and the poison of which `/health` tells.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use kit::{Health, Status};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::manifest::Op;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpLabel {
    op: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DatasetLabel {
    dataset: String,
}

pub(crate) struct Metrics {
    pub(super) datasets: Gauge,
    pub(super) start_seconds: Gauge<f64, AtomicU64>,
    pub(super) refresh_failures: Counter,
    pub(super) lost_races: Counter,
    pub(super) watchers: Gauge,
    pub(super) collected: Counter,
    pub(super) collections: Counter,
    versions: Family<OpLabel, Counter>,
    poison: Family<DatasetLabel, Gauge>,
    /// Folders whose names are poison themselves, and what `/health` shows now.
    folders: Mutex<BTreeMap<String, String>>,
    shown: Mutex<BTreeMap<String, String>>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics {
            datasets: Gauge::default(),
            start_seconds: Gauge::default(),
            refresh_failures: Counter::default(),
            lost_races: Counter::default(),
            watchers: Gauge::default(),
            collected: Counter::default(),
            collections: Counter::default(),
            versions: Family::default(),
            poison: Family::default(),
            folders: Mutex::default(),
            shown: Mutex::default(),
        };
        registry.register("catalogd_datasets", "Datasets there are", metrics.datasets.clone());
        registry.register("catalogd_start_seconds", "The loading at start took", metrics.start_seconds.clone());
        registry.register(
            "catalogd_refresh_failures",
            "Looks for newer manifests that failed",
            metrics.refresh_failures.clone(),
        );
        registry.register(
            "catalogd_lost_races",
            "Versions that another replica wrote first",
            metrics.lost_races.clone(),
        );
        registry.register("catalogd_watchers", "Watchers connected", metrics.watchers.clone());
        registry.register("catalogd_collections", "Passes of the collector", metrics.collections.clone());
        registry.register("catalogd_collected_objects", "Unused objects deleted", metrics.collected.clone());
        registry.register("catalogd_versions_written", "Versions written here", metrics.versions.clone());
        registry.register("catalogd_poison_manifests", "Newest manifests that cannot be read", metrics.poison.clone());
        metrics
    }

    pub(super) fn written(&self, op: Op) {
        self.versions.get_or_create(&OpLabel { op: op.as_str() }).inc();
    }

    /// The folders of manifests whose names are none, and why.
    pub(super) fn set_poison_folders(&self, folders: BTreeMap<String, String>) {
        *self.folders.lock().unwrap_or_else(PoisonError::into_inner) = folders;
    }

    /// Shows what is poison now, and no longer what was.
    pub(super) fn report_poison(&self, health: &Health, mut poison: BTreeMap<String, String>) {
        poison.extend(self.folders.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == poison {
            return;
        }
        for gone in shown.keys().filter(|dataset| !poison.contains_key(*dataset)) {
            health.remove(&component(gone));
            self.poison.remove(&DatasetLabel { dataset: gone.clone() });
        }
        for (dataset, reason) in &poison {
            health.set(component(dataset), Status::Degraded, reason.clone());
            self.poison.get_or_create(&DatasetLabel { dataset: dataset.clone() }).set(1);
        }
        *shown = poison;
    }
}

fn component(dataset: &str) -> String {
    format!("manifest:{dataset}")
}
