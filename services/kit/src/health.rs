//! What is well with a service, component by component.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// Of a component, and of the whole: the worst of its components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Serving, with something missing.
    Degraded,
    /// Not serving yet.
    Starting,
    /// Not serving.
    Failed,
}

#[derive(Debug, Clone, Serialize)]
struct Component {
    status: Status,
    detail: String,
}

#[derive(Default)]
struct State {
    components: BTreeMap<String, Component>,
    stopping: bool,
    draining: bool,
}

/// Shared by the parts of a service, which report here, and its `/health` routes.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

/// The body of `/health`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) status: Status,
    components: BTreeMap<String, Component>,
}

impl Health {
    /// All well so far.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports how a component is, and why.
    pub fn set(&self, component: impl Into<String>, status: Status, detail: impl Into<String>) {
        self.state().components.insert(component.into(), Component { status, detail: detail.into() });
    }

    /// A component that is no more.
    pub fn remove(&self, component: &str) {
        self.state().components.remove(component);
    }

    /// From here on readiness fails, so that balancers stop sending.
    pub(crate) fn stop(&self) {
        self.state().stopping = true;
    }

    /// From here on only probes are answered.
    pub(crate) fn drain(&self) {
        self.state().draining = true;
    }

    /// Whether what is new is to be refused.
    pub fn is_draining(&self) -> bool {
        self.state().draining
    }

    pub(crate) fn report(&self) -> Report {
        let state = self.state();
        let status = state.components.values().map(|c| c.status).max().unwrap_or(Status::Ok);
        Report { status, components: state.components.clone() }
    }

    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        !state.stopping && state.components.values().all(|c| c.status <= Status::Degraded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_while_degraded_but_not_while_starting_or_stopping() {
        let health = Health::new();
        health.set("cache", Status::Degraded, "away");
        assert!(health.is_ready());
        health.set("catalog", Status::Starting, "loading");
        assert!(!health.is_ready());
        assert_eq!(health.report().status, Status::Starting);
        health.remove("catalog");
        assert!(health.is_ready());
        health.stop();
        assert!(!health.is_ready());
    }
}
