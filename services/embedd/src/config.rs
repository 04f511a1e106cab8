//! `[embedd]`.

mod model;
mod redis;
mod warm;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::config::{ServiceConfig, loopback_url};
use kit::server::HttpConfig;
use serde::{Deserialize, Serialize};
use url::Url;

pub use model::{ModelConfig, ProviderKind};
pub use redis::{RedisConfig, RedisValue};
pub use warm::WarmConfig;

/// The most that `texts_max` may be.
pub(crate) const TEXTS_CEILING: usize = 1 << 20;

/// `[embedd]`: every limit and wait of this service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// `[embedd.http]`. Texts have a limit of their own: `body_bytes_max`.
    pub http: HttpConfig,
    /// The model of requests that name none.
    pub model: String,
    /// The folder of the default model, where `[embedd.models]` does not have it; empty: the one that setup
    /// brought.
    pub model_dir: PathBuf,
    /// `[embedd.models.NAME]`: the models there are, by the names that requests use. None: `model`, local.
    pub models: BTreeMap<String, ModelConfig>,
    /// Where files of models are fetched from that are configured by a hub's id.
    pub hub_url: Url,
    /// Where fetched models are kept.
    pub hub_dir: PathBuf,
    /// Fetching one model from the hub.
    #[serde(with = "humantime_serde")]
    pub hub_timeout: Duration,
    /// One file from the hub.
    pub hub_bytes_max: u64,
    /// Threads of each local model. 0: one per core.
    pub local_threads: usize,
    /// Tokens of texts that a local model computes together, though always a whole text.
    pub local_batch_tokens_max: usize,
    /// Texts that may wait for a local model; more are 503.
    pub local_queue_texts_max: usize,
    /// Bytes of the texts that may wait for a local model; more are 503.
    pub local_queue_bytes_max: usize,
    /// Vectors kept in memory at most; 0 switches this tier off.
    pub cache_size: usize,
    /// Bytes of the vectors kept in memory at most.
    pub cache_bytes_max: usize,
    /// `[embedd.redis]`: the cache that several processes share; switched off as long as it names no `urls`.
    pub redis: RedisConfig,
    /// Texts of one request; more are 413.
    pub texts_max: usize,
    /// One text; a longer one is 413.
    pub text_bytes_max: usize,
    /// One body with texts; more is 413.
    pub body_bytes_max: usize,
    /// From a request's arrival to its vectors; then 504.
    #[serde(with = "humantime_serde")]
    pub embed_timeout: Duration,
    /// Bodies that are read and answers that are written at once, of those that are long.
    pub bodies_at_once_max: usize,
    /// Of those bodies and answers, how many wait; more are 503.
    pub bodies_waiting_max: usize,
    /// queryd: columns of datasets are read through it to warm up.
    pub queryd_url: Url,
    /// `[[embedd.warm]]`: what is embedded at the start, and again and again.
    pub warm: Vec<WarmConfig>,
    /// Warm-ups remembered, running and ended; the oldest ended go first, and more running are 503.
    pub warm_jobs_max: usize,
    /// Texts that a warm-up embeds at a time.
    pub warm_batch_texts: usize,
    /// The query of one warm-up, at most `queryd.timeout_max`; also, how long one batch of it waits for room.
    #[serde(with = "humantime_serde")]
    pub warm_timeout: Duration,
    /// Where memory's content is kept over a restart; unset: nowhere.
    pub most_used_file: Option<PathBuf>,
    /// How often it is written, besides at the end.
    #[serde(with = "humantime_serde")]
    pub most_used_every: Duration,
    /// How often the stats are logged; 0: never.
    #[serde(with = "humantime_serde")]
    pub stats_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: ([127, 0, 0, 1], 3216).into(),
            http: HttpConfig::default(),
            model: "all-MiniLM-L6-v2".into(),
            model_dir: PathBuf::new(),
            models: BTreeMap::new(),
            hub_url: hub_url(),
            hub_dir: "data/models".into(),
            hub_timeout: Duration::from_secs(600),
            hub_bytes_max: 4 << 30,
            local_threads: 0,
            local_batch_tokens_max: 256,
            local_queue_texts_max: 100_000,
            local_queue_bytes_max: 128 << 20,
            cache_size: 10_000,
            cache_bytes_max: 256 << 20,
            redis: RedisConfig::default(),
            texts_max: 10_000,
            text_bytes_max: 1 << 20,
            body_bytes_max: 64 << 20,
            embed_timeout: Duration::from_secs(55),
            bodies_at_once_max: 4,
            bodies_waiting_max: 64,
            queryd_url: loopback_url(3214),
            warm: Vec::new(),
            warm_jobs_max: 100,
            warm_batch_texts: 256,
            warm_timeout: Duration::from_secs(600),
            most_used_file: None,
            most_used_every: Duration::from_secs(3_600),
            stats_every: Duration::from_secs(3_600),
        }
    }
}

#[allow(clippy::expect_used, reason = "a literal URL")]
fn hub_url() -> Url {
    Url::parse("https://huggingface.co/").expect("a URL")
}

impl Config {
    /// The models there are: those that are configured, or the default one.
    pub(crate) fn models(&self) -> BTreeMap<String, ModelConfig> {
        let mut models = self.models.clone();
        if models.is_empty() {
            models.insert(self.model.clone(), ModelConfig { path: self.model_dir.clone(), ..ModelConfig::default() });
        }
        models
    }
}

impl ServiceConfig for Config {
    const SECTION: &'static str = "embedd";

    fn listen(&self) -> SocketAddr {
        self.listen
    }

    fn validate(&self) -> Result<(), String> {
        let counts = [
            ("texts_max", self.texts_max),
            ("text_bytes_max", self.text_bytes_max),
            ("body_bytes_max", self.body_bytes_max),
            ("local_batch_tokens_max", self.local_batch_tokens_max),
            ("local_queue_texts_max", self.local_queue_texts_max),
            ("local_queue_bytes_max", self.local_queue_bytes_max),
            ("warm_jobs_max", self.warm_jobs_max),
            ("warm_batch_texts", self.warm_batch_texts),
            ("bodies_at_once_max", self.bodies_at_once_max),
            ("bodies_waiting_max", self.bodies_waiting_max),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("{key} must not be 0"));
        }
        if self.texts_max > TEXTS_CEILING {
            return Err(format!("texts_max must not exceed {TEXTS_CEILING}"));
        }
        if self.cache_size > 0 && self.cache_bytes_max == 0 {
            return Err("cache_bytes_max must not be 0: cache_size = 0 switches the cache off".into());
        }
        if !self.models.is_empty() && !self.models.contains_key(&self.model) {
            return Err(format!("model: {:?} is not among [embedd.models]", self.model));
        }
        if self.warm_batch_texts > self.texts_max {
            return Err("warm_batch_texts must not exceed texts_max".into());
        }
        // Otherwise there would be requests that are told to come again for ever.
        if self.local_queue_texts_max < self.texts_max {
            return Err("local_queue_texts_max must be at least texts_max".into());
        }
        if self.local_queue_bytes_max < self.body_bytes_max {
            return Err("local_queue_bytes_max must be at least body_bytes_max".into());
        }
        if self.most_used_every.is_zero() {
            return Err("most_used_every must not be 0".into());
        }
        let names = self.models();
        self.warm.iter().try_for_each(|warm| warm.validate(&names))?;
        self.redis.validate()?;
        self.models.iter().try_for_each(|(name, model)| model.validate(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap_err()
    }

    #[test]
    fn the_defaults_are_valid_and_what_makes_no_sense_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(refused(|config| config.texts_max = 0), "texts_max must not be 0");
        assert!(refused(|config| config.cache_bytes_max = 0).contains("cache_bytes_max"));
        let narrow = refused(|config| config.local_queue_texts_max = config.texts_max - 1);
        assert_eq!(narrow, "local_queue_texts_max must be at least texts_max");
        let narrow = refused(|config| config.local_queue_bytes_max = config.body_bytes_max - 1);
        assert_eq!(narrow, "local_queue_bytes_max must be at least body_bytes_max");
        let nowhere = refused(|config| _ = config.models.insert("a".into(), ModelConfig::default()));
        assert!(nowhere.contains("all-MiniLM-L6-v2"), "{nowhere}");
        let no_url = refused(|config| {
            config.model = "a".into();
            let model = ModelConfig { provider: ProviderKind::Openai, ..ModelConfig::default() };
            config.models.insert("a".into(), model);
        });
        assert!(no_url.contains("models.a.url"), "{no_url}");
    }
}
