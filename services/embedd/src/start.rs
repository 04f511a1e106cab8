//! What is made of the configuration at the start.

use std::sync::Arc;

use kit::server::ServeError;

use crate::config::{Config, ModelConfig, ProviderKind};
use crate::models::{Model, Models};
use crate::provider::{Hash, Ollama, Openai, Provider};
use crate::stats::Stats;

/// The part of the machine's memory that the first tier may take without a word.
const MEMORY_SHARE: u64 = 10;

/// Warns where the first tier may take more of the machine's memory than is sensible.
pub(crate) fn look_at_memory(config: &Config) {
    let machine = rustix::system::sysinfo();
    let bytes = u64::try_from(machine.totalram).unwrap_or(u64::MAX).saturating_mul(u64::from(machine.mem_unit));
    if config.cache_size > 0 && config.cache_bytes_max as u64 > bytes / MEMORY_SHARE {
        let cache_bytes_max = config.cache_bytes_max;
        tracing::warn!(
            cache_bytes_max,
            machine_bytes = bytes,
            "cache_bytes_max exceeds a tenth of the machine's memory"
        );
    }
}

/// Opens every model.
///
/// # Errors
/// One that cannot be opened.
pub(crate) async fn models(config: &Config, stats: &Stats) -> Result<Models, ServeError> {
    let mut models = Vec::new();
    for (name, model) in config.models() {
        let provider = provider(config, &name, &model).await?;
        models.push(Model::new(&name, &model, provider, stats.of_model(&name, &model)));
    }
    let missing = || ServeError::start("model", format!("{:?} is not among the models", config.model));
    Models::new(models, &config.model).ok_or_else(missing)
}

async fn provider(_: &Config, name: &str, model: &ModelConfig) -> Result<Arc<dyn Provider>, ServeError> {
    let failed = |error| ServeError::start(format!("models.{name}"), error);
    Ok(match model.provider {
        ProviderKind::Hash => Arc::new(Hash::new(model.dimension, model.tokens_max)),
        ProviderKind::Ollama => Arc::new(Ollama::new(name, model).map_err(failed)?),
        ProviderKind::Openai => Arc::new(Openai::new(name, model).map_err(failed)?),
        ProviderKind::Local => return Err(ServeError::start(format!("models.{name}.provider"), "not yet")),
    })
}
