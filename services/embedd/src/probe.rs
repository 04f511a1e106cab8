//! The service without a network, for measuring what is below HTTP.

use kit::Health;
use kit::server::ServeError;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::embedder::{Embedder, NewEmbed};
use crate::provider::Input;
use crate::start;

/// The cache and the models of a configuration, in this process. For benchmarks: everybody else uses HTTP or gRPC.
pub struct Probe(Embedder);

impl Probe {
    /// Opens the models.
    ///
    /// # Errors
    /// A configuration that no model can be made of.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let embedder = start::embedder(config, &Health::new(), &mut Registry::default(), &tasks, &stopping).await?;
        Ok(Probe(embedder))
    }

    /// How many of the texts did not have to be computed; `None` where the request fails. Where all are in memory
    /// it is ready at once.
    pub async fn cached(&self, texts: Vec<String>) -> Option<usize> {
        let inputs = texts.into_iter().map(Input::Text).collect();
        let asked = NewEmbed { model: None, inputs, normalize: None, truncate: true };
        Some(self.0.embed(asked).await.ok()?.cached)
    }
}
