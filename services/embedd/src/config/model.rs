use std::path::PathBuf;
use std::time::Duration;

use kit::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

/// Who computes a model's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// This process, from a folder of the sentence-transformers kind.
    #[default]
    Local,
    /// An Ollama server.
    Ollama,
    /// OpenAI, or any server that speaks its protocol.
    Openai,
    /// Numbers made of the text's hash, without any meaning: for tests alone.
    Hash,
}

/// `[embedd.models.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Who computes its vectors.
    pub provider: ProviderKind,
    /// local: the model's folder.
    pub path: PathBuf,
    /// The model's name at the upstream, or (local, without `path`) its id at the model hub; empty: NAME.
    pub model: String,
    /// ollama, openai: where the upstream is. The paths of its protocol come after it.
    pub url: Option<Url>,
    /// openai: the key.
    pub api_key: Secret,
    /// Numbers in a vector. Local models know it; for others, a different number is refused (openai: and asked
    /// for). 0: whatever the first answer has.
    pub dimension: usize,
    /// Put before every text.
    pub prefix: String,
    /// Whether vectors are made unit length where the request does not say; unset: as the model gives them.
    pub normalize: Option<bool>,
    /// Longer texts are cut off or refused; 0: the model's own limit.
    pub tokens_max: usize,
    /// Part of the key of what is cached: change it when the upstream's model has changed.
    pub revision: String,
    /// What one embedding costs, in any currency, for the stats.
    pub cost_per_embedding: f64,
    /// What a thousand tokens cost.
    pub cost_per_1k_tokens: f64,
    /// How long the shared cache keeps an unused vector.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// ollama, openai: texts in one call.
    pub batch_texts_max: usize,
    /// ollama, openai: bytes of text in one call.
    pub batch_bytes_max: usize,
    /// ollama, openai: bytes of one answer; a longer one is 502.
    pub answer_bytes_max: usize,
    /// ollama, openai: calls at once; others wait.
    pub calls_at_once_max: usize,
    /// ollama, openai: calls that wait; more are 503.
    pub calls_waiting_max: usize,
    /// ollama, openai: one call.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// ollama, openai: how often a call is tried again after 429, 5xx or no answer.
    pub retries_max: usize,
    /// ollama, openai: the longest pause before another try; a longer Retry-After is passed on.
    #[serde(with = "humantime_serde")]
    pub retry_pause_max: Duration,
}

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig {
            provider: ProviderKind::Local,
            path: PathBuf::new(),
            model: String::new(),
            url: None,
            api_key: Secret::default(),
            dimension: 0,
            prefix: String::new(),
            normalize: None,
            tokens_max: 0,
            revision: String::new(),
            cost_per_embedding: 0.0,
            cost_per_1k_tokens: 0.0,
            ttl: Duration::from_secs(30 * 24 * 3_600),
            batch_texts_max: 256,
            batch_bytes_max: 1 << 20,
            answer_bytes_max: 64 << 20,
            calls_at_once_max: 8,
            calls_waiting_max: 1_024,
            timeout: Duration::from_secs(30),
            retries_max: 3,
            retry_pause_max: Duration::from_secs(10),
        }
    }
}

impl ModelConfig {
    pub(super) fn validate(&self, name: &str) -> Result<(), String> {
        let fault = |key: &str, what: &str| Err(format!("models.{name}.{key} {what}"));
        if name.is_empty() || name.len() > 200 || name.contains(char::is_control) {
            return Err(format!("models: {name:?} is no name of a model"));
        }
        let remote = matches!(self.provider, ProviderKind::Ollama | ProviderKind::Openai);
        match &self.url {
            None if remote => return fault("url", "is needed"),
            Some(url) if remote && (!matches!(url.scheme(), "http" | "https") || url.host().is_none()) => {
                return fault("url", "must begin with http:// or https://");
            }
            Some(_) if !remote => return fault("url", "is for ollama and openai"),
            _ => {}
        }
        if self.provider == ProviderKind::Hash && self.dimension == 0 {
            return fault("dimension", "is needed");
        }
        let counts = [
            ("batch_texts_max", self.batch_texts_max),
            ("batch_bytes_max", self.batch_bytes_max),
            ("answer_bytes_max", self.answer_bytes_max),
            ("calls_at_once_max", self.calls_at_once_max),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return fault(key, "must not be 0");
        }
        let costs = [("cost_per_embedding", self.cost_per_embedding), ("cost_per_1k_tokens", self.cost_per_1k_tokens)];
        if let Some((key, _)) = costs.iter().find(|(_, cost)| !cost.is_finite() || *cost < 0.0) {
            return fault(key, "must not be negative");
        }
        if self.cost_per_embedding > 0.0 && self.cost_per_1k_tokens > 0.0 {
            return fault("cost_per_embedding", "and cost_per_1k_tokens exclude each other");
        }
        if self.ttl.is_zero() {
            return fault("ttl", "must not be 0");
        }
        Ok(())
    }
}
