//! What is counted: for `/v1/embed/stats`, for `/metrics` and for the line in the log.

mod latency;
mod recent;

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use latency::Exported;
pub(crate) use latency::Latency;
pub(crate) use recent::Recent;

use crate::config::ModelConfig;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierLabels {
    model: String,
    tier: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

/// How many texts were answered from where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    /// From this process's memory.
    pub(crate) memory: u64,
    /// From the shared cache.
    pub(crate) shared: u64,
    /// By waiting for what was being computed for another text.
    pub(crate) joined: u64,
    /// By the provider.
    pub(crate) computed: u64,
    /// Tokens of those that were computed.
    pub(crate) tokens: u64,
    /// Tokens of the others.
    pub(crate) tokens_saved: u64,
}

impl Texts {
    /// Texts that did not have to be computed.
    pub(crate) fn hits(&self) -> u64 {
        self.memory + self.shared + self.joined
    }

    /// Of all texts; 0 where there were none.
    pub(crate) fn hit_rate(&self) -> f64 {
        share(self.hits() as f64, self.computed as f64)
    }

    pub(crate) fn add(&mut self, other: Texts) {
        self.memory += other.memory;
        self.shared += other.shared;
        self.joined += other.joined;
        self.computed += other.computed;
        self.tokens += other.tokens;
        self.tokens_saved += other.tokens_saved;
    }
}

/// `part` of `part` and `rest`; 0 of nothing.
pub(crate) fn share(part: f64, rest: f64) -> f64 {
    if part + rest > 0.0 { part / (part + rest) } else { 0.0 }
}

/// Of one model.
pub(crate) struct ModelStats {
    memory: Counter,
    shared: Counter,
    joined: Counter,
    computed: Counter,
    tokens: Counter,
    tokens_saved: Counter,
    cost_per_embedding: f64,
    cost_per_token: f64,
}

impl ModelStats {
    pub(crate) fn count(&self, texts: Texts) {
        let pairs = [
            (&self.memory, texts.memory),
            (&self.shared, texts.shared),
            (&self.joined, texts.joined),
            (&self.computed, texts.computed),
            (&self.tokens, texts.tokens),
            (&self.tokens_saved, texts.tokens_saved),
        ];
        // Most are 0, and each costs a locked instruction.
        pairs.into_iter().filter(|(_, count)| *count > 0).for_each(|(counter, count)| _ = counter.inc_by(count));
    }

    pub(crate) fn texts(&self) -> Texts {
        Texts {
            memory: self.memory.get(),
            shared: self.shared.get(),
            joined: self.joined.get(),
            computed: self.computed.get(),
            tokens: self.tokens.get(),
            tokens_saved: self.tokens_saved.get(),
        }
    }

    /// What was paid, and what would have been paid besides without any cache.
    pub(crate) fn costs(&self) -> (f64, f64) {
        let texts = self.texts();
        let cost =
            |count: u64, tokens: u64| self.cost_per_embedding * count as f64 + self.cost_per_token * tokens as f64;
        (cost(texts.computed, texts.tokens), cost(texts.hits(), texts.tokens_saved))
    }
}

/// Of the whole service.
pub(crate) struct Stats {
    texts: Family<TierLabels, Counter>,
    tokens: Family<ModelLabels, Counter>,
    tokens_saved: Family<ModelLabels, Counter>,
    failures: Family<ModelLabels, Counter>,
    /// Entries in memory, as of the last look.
    pub(crate) size: Gauge,
    /// Requests that wait for a computation.
    pub(crate) waiting: Gauge,
    /// One text looked up in memory.
    pub(crate) memory: Latency,
    /// One question to the shared cache.
    pub(crate) shared: Latency,
    /// One question to a provider.
    pub(crate) provider: Latency,
}

impl Stats {
    pub(crate) fn register(registry: &mut Registry) -> Arc<Self> {
        let stats = Stats {
            texts: Family::default(),
            tokens: Family::default(),
            tokens_saved: Family::default(),
            failures: Family::default(),
            size: Gauge::default(),
            waiting: Gauge::default(),
            memory: Latency::new(),
            shared: Latency::new(),
            provider: Latency::new(),
        };
        registry.register("embedd_texts", "Texts answered, by where from", stats.texts.clone());
        registry.register("embedd_tokens", "Tokens of texts that were computed", stats.tokens.clone());
        registry.register("embedd_tokens_saved", "Tokens of texts that were not", stats.tokens_saved.clone());
        registry.register("embedd_provider_failures", "Questions to a provider that failed", stats.failures.clone());
        registry.register("embedd_cache_entries", "Vectors in memory", stats.size.clone());
        let help = "Requests that wait for a computation, once for each one they wait for";
        registry.register("embedd_waiting", help, stats.waiting.clone());
        let tiers = [("memory", &stats.memory), ("shared", &stats.shared), ("provider", &stats.provider)];
        let help = "How long a tier takes: one text in memory, one question to the shared cache or a provider";
        registry.register_with_unit("embedd_tier", help, Unit::Seconds, Exported::new(&tiers));
        Arc::new(stats)
    }

    /// The counters of a model.
    pub(crate) fn of_model(&self, name: &str, config: &ModelConfig) -> ModelStats {
        let tier = |tier| self.texts.get_or_create(&TierLabels { model: name.to_owned(), tier }).clone();
        let label = ModelLabels { model: name.to_owned() };
        ModelStats {
            memory: tier("memory"),
            shared: tier("shared"),
            joined: tier("joined"),
            computed: tier("computed"),
            tokens: self.tokens.get_or_create(&label).clone(),
            tokens_saved: self.tokens_saved.get_or_create(&label).clone(),
            cost_per_embedding: config.cost_per_embedding,
            cost_per_token: config.cost_per_1k_tokens / 1_000.0,
        }
    }

    pub(crate) fn failed(&self, model: &str) {
        self.failures.get_or_create(&ModelLabels { model: model.to_owned() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_of_what_was_computed_and_of_what_was_not() {
        let stats = Stats::register(&mut Registry::default());
        let texts = Texts { memory: 2, shared: 1, joined: 1, computed: 4, tokens: 400, tokens_saved: 100 };
        let by_text = stats.of_model("a", &ModelConfig { cost_per_embedding: 0.5, ..ModelConfig::default() });
        by_text.count(texts);
        assert_eq!(by_text.costs(), (2.0, 2.0));
        let by_token = stats.of_model("b", &ModelConfig { cost_per_1k_tokens: 10.0, ..ModelConfig::default() });
        by_token.count(texts);
        assert_eq!(by_token.costs(), (4.0, 1.0));
        assert_eq!((by_token.texts(), texts.hits(), texts.hit_rate()), (texts, 4, 0.5));
        assert_eq!(Texts::default().hit_rate(), 0.0);
    }
}
