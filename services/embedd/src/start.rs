//! What is made of the configuration at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kit::server::ServeError;
use kit::{Health, Status};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ModelConfig, ProviderKind};
use crate::embedder::Embedder;
use crate::models::{Model, Models};
use crate::provider::{Hash, Hub, Local, Ollama, Openai, Provider};
use crate::shared::{RedisCache, SharedCache};
use crate::stats::Stats;

/// The part of the machine's memory that the first tier may take without a word.
const MEMORY_SHARE: u64 = 10;
/// The folder of the default model, beside the binary or where setup brings it.
const DEFAULT_FOLDER: &str = "minilm";
const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools");
/// Pauses before a hub is asked again: the first, and the longest.
const HUB_PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The cache with its models. What lies here is open when it returns; what has to be fetched comes later.
///
/// # Errors
/// A configuration that nothing can be made of.
pub(crate) async fn embedder(
    config: Config,
    health: &Health,
    registry: &mut Registry,
    tasks: &TaskTracker,
    stopping: &CancellationToken,
) -> Result<Embedder, ServeError> {
    look_at_memory(&config);
    let stats = Stats::register(registry);
    let models = Arc::new(Models::new(config.models().into_keys(), &config.model));
    let opener =
        Opener { config: config.clone(), models: models.clone(), stats: stats.clone(), health: health.clone() };
    opener.open().await?;
    tasks.spawn(opener.fetch(stopping.clone()));
    let shared: Option<Arc<dyn SharedCache>> = if config.redis.urls.is_empty() {
        None
    } else {
        let redis = RedisCache::open(&config.redis, health).map_err(|error| ServeError::start("redis", error))?;
        Some(Arc::new(redis))
    };
    Ok(Embedder::new(config, models, shared, stats, tasks.clone(), stopping.clone()))
}

/// Warns where the first tier may take more of the machine's memory than is sensible.
fn look_at_memory(config: &Config) {
    let machine = rustix::system::sysinfo();
    let machine_bytes = (machine.totalram as u64).saturating_mul(u64::from(machine.mem_unit));
    if config.cache_size > 0 && config.cache_bytes_max as u64 > machine_bytes / MEMORY_SHARE {
        let cache_bytes_max = config.cache_bytes_max;
        tracing::warn!(cache_bytes_max, machine_bytes, "cache_bytes_max exceeds a tenth of the machine's memory");
    }
}

/// Opens models. One that cannot be opened takes no other with it.
struct Opener {
    config: Config,
    models: Arc<Models>,
    stats: Arc<Stats>,
    health: Health,
}

impl Opener {
    /// Opens what lies here; what has to be fetched from a hub first comes later, by [`Opener::fetch`].
    ///
    /// # Errors
    /// A configuration that no model can be made of.
    async fn open(&self) -> Result<(), ServeError> {
        for (name, model) in self.config.models() {
            let failed = |error| ServeError::start(format!("models.{name}"), error);
            let provider: Arc<dyn Provider> = match model.provider {
                ProviderKind::Hash => Arc::new(Hash::new(model.dimension, model.tokens_max)),
                ProviderKind::Ollama => Arc::new(Ollama::new(&name, &model).map_err(failed)?),
                ProviderKind::Openai => Arc::new(Openai::new(&name, &model).map_err(failed)?),
                ProviderKind::Local => {
                    if hub_id(&model).is_none() {
                        self.load(&name, &model, self.folder(&model)).await;
                    }
                    continue;
                }
            };
            self.set(&name, &model, provider);
        }
        Ok(())
    }

    /// Fetches and opens the models of the hub, again and again until they are there.
    async fn fetch(self, stopping: CancellationToken) {
        let models = self.config.models();
        let wanted = models.iter().filter_map(|(name, model)| Some((name, model, hub_id(model)?)));
        let fetching = wanted.map(|(name, model, id)| self.fetch_one(name, model, id));
        stopping.run_until_cancelled(futures::future::join_all(fetching)).await;
    }

    async fn fetch_one(&self, name: &str, model: &ModelConfig, id: &str) {
        let component = component(name);
        let hub = match Hub::new(&self.config, model, id) {
            Ok(hub) => hub,
            Err(error) => return self.broken(name, &error.into()),
        };
        self.health.set(&component, Status::Starting, format!("{id} is being fetched"));
        let mut pause = HUB_PAUSES.0;
        loop {
            match hub.folder().await {
                Ok(folder) => return self.load(name, model, folder).await,
                Err(error) => self.broken(name, &error.into()),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(HUB_PAUSES.1);
        }
    }

    async fn load(&self, name: &str, model: &ModelConfig, folder: PathBuf) {
        let work = tokio::task::spawn_blocking({
            let (config, model) = (self.config.clone(), model.clone());
            move || Local::open(&folder, &config, &model)
        });
        match work.await {
            Ok(Ok(local)) => self.set(name, model, Arc::new(local)),
            Ok(Err(error)) => self.broken(name, &error.into()),
            Err(error) => self.broken(name, &error.into()),
        }
    }

    fn set(&self, name: &str, config: &ModelConfig, provider: Arc<dyn Provider>) {
        let model = Model::new(name, config, provider, self.stats.of_model(name, config));
        let (provider, dimension) = (model.provider.kind(), model.dimension());
        tracing::info!(model = name, provider, dimension, "model is ready");
        self.models.set(name, Ok(model));
        self.health.remove(&component(name));
    }

    /// The others go on, so the service is only degraded.
    fn broken(&self, name: &str, error: &AnyError) {
        tracing::error!(model = name, error = &**error as &dyn std::error::Error, "model cannot be used");
        self.health.set(component(name), Status::Degraded, error.to_string());
        self.models.set(name, Err(error.to_string()));
    }

    /// Where a model lies that no hub has to give.
    fn folder(&self, model: &ModelConfig) -> PathBuf {
        let given = [&model.path, &self.config.model_dir].into_iter().find(|path| !path.as_os_str().is_empty());
        let beside = || Some(std::env::current_exe().ok()?.parent()?.join(DEFAULT_FOLDER)).filter(|path| path.is_dir());
        given.cloned().or_else(beside).unwrap_or_else(|| Path::new(SETUP).join(DEFAULT_FOLDER))
    }
}

fn component(name: &str) -> String {
    format!("model {name}")
}

/// The id of a model that a hub has.
fn hub_id(model: &ModelConfig) -> Option<&str> {
    let from_hub =
        model.provider == ProviderKind::Local && model.path.as_os_str().is_empty() && !model.model.is_empty();
    from_hub.then_some(model.model.as_str())
}
