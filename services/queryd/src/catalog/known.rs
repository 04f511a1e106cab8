//! The newest version of every dataset, as far as this process has heard.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use proto::v1::Manifest;

use super::Dataset;
use crate::metrics::Metrics;

type Result<T> = std::result::Result<T, String>;

/// Names and what is known of each; shared, updated by the follower and by every statement.
#[derive(Clone)]
pub(crate) struct Known {
    state: Arc<RwLock<State>>,
    health: kit::Health,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    datasets: BTreeMap<String, Arc<Dataset>>,
    /// Manifests that cannot be used: version and why. They stop nobody else.
    poisoned: BTreeMap<String, (u64, String)>,
}

impl Known {
    pub(crate) fn new(health: kit::Health, metrics: Metrics) -> Self {
        Known { state: Arc::default(), health, metrics }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Dataset>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).datasets.get(name).cloned()
    }

    /// What is known of each, for a question that names what need not be sent again.
    pub(crate) fn versions(&self) -> Vec<(String, u64)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.datasets.values().map(|dataset| (dataset.name.clone(), dataset.version)).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).datasets.keys().cloned().collect()
    }

    /// Takes a manifest of the newest version over, where it is not older than what is known. A
    /// poison one is reported and passed over.
    pub(crate) fn learn(&self, manifest: Manifest) -> Result<Arc<Dataset>> {
        let (name, version) = (manifest.name.clone(), manifest.version);
        let dataset = Dataset::try_from(manifest).map(Arc::new);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match &dataset {
            Ok(dataset) => {
                if state.datasets.get(&name).is_none_or(|known| known.version <= version) {
                    state.datasets.insert(name.clone(), dataset.clone());
                }
                state.poisoned.remove(&name);
            }
            Err(reason) => {
                tracing::warn!(dataset = %name, version, %reason, "poison manifest passed over");
                state.poisoned.insert(name.clone(), (version, reason.clone()));
            }
        }
        self.report(&state);
        dataset
    }

    /// Notes that `version` stands, which may be known since before a poison one took its place.
    pub(crate) fn stands(&self, name: &str, version: u64) {
        let is_over = |state: &State| state.poisoned.get(name).is_some_and(|(poisoned, _)| *poisoned != version);
        if is_over(&self.state.read().unwrap_or_else(PoisonError::into_inner)) {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.poisoned.remove(name);
            self.report(&state);
        }
    }

    pub(crate) fn forget(&self, name: &str) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.datasets.remove(name);
        state.poisoned.remove(name);
        self.report(&state);
    }

    /// Forgets all but these.
    pub(crate) fn retain(&self, names: &std::collections::HashSet<String>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.datasets.retain(|name, _| names.contains(name));
        state.poisoned.retain(|name, _| names.contains(name));
        self.report(&state);
    }

    fn report(&self, state: &State) {
        self.metrics.datasets.set(i64::try_from(state.datasets.len()).unwrap_or(i64::MAX));
        self.metrics.poisoned.set(i64::try_from(state.poisoned.len()).unwrap_or(i64::MAX));
        if state.poisoned.is_empty() {
            self.health.remove("manifests");
            return;
        }
        let shown: Vec<_> =
            state.poisoned.iter().take(10).map(|(name, (v, why))| format!("{name} v{v}: {why}")).collect();
        let detail = format!("{} cannot be used: {}", state.poisoned.len(), shown.join("; "));
        self.health.set("manifests", kit::Status::Degraded, detail);
    }
}
