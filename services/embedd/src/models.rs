//! The models there are, by the names that requests use.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crate::Error;
use crate::config::ModelConfig;
use crate::embedding::{Embedding, Fingerprint, Key, hash};
use crate::provider::{Input, Provider, ProviderError, Wish};
use crate::stats::ModelStats;

/// Changes whenever vectors of the same model are to be computed anew.
const GENERATION: &[u8] = b"lakehouse embedding 1";

/// A model as it is configured.
pub(crate) struct Model {
    /// As requests call it.
    pub(crate) name: String,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) prefix: String,
    /// Where a request does not say.
    pub(crate) normalize: bool,
    /// Of what the shared cache keeps.
    pub(crate) ttl: Duration,
    pub(crate) stats: ModelStats,
    /// By whether vectors are normalised.
    fingerprints: [Fingerprint; 2],
    /// As the configuration or the provider says, or the first answer.
    dimension: OnceLock<usize>,
}

impl Model {
    pub(crate) fn new(name: &str, config: &ModelConfig, provider: Arc<dyn Provider>, stats: ModelStats) -> Self {
        let described = provider.describe();
        let upstream = if config.model.is_empty() { name } else { &config.model };
        // A local model is what its files are, wherever they lie and whatever it is called.
        let upstream = if provider.is_remote() { upstream.as_bytes() } else { b"" };
        let (dimension, tokens_max) = (config.dimension as u64, config.tokens_max as u64);
        let fingerprint = |normalize: bool| {
            Fingerprint::of(&[
                GENERATION,
                provider.kind().as_bytes(),
                upstream,
                &described.revision,
                config.revision.as_bytes(),
                &dimension.to_le_bytes(),
                &tokens_max.to_le_bytes(),
                config.prefix.as_bytes(),
                &[u8::from(normalize)],
            ])
        };
        let known = Some(config.dimension).filter(|dimension| *dimension > 0).or(described.dimension);
        Model {
            name: name.to_owned(),
            prefix: config.prefix.clone(),
            normalize: config.normalize.unwrap_or(described.normalizes),
            ttl: config.ttl,
            stats,
            fingerprints: [fingerprint(false), fingerprint(true)],
            dimension: known.map_or_else(OnceLock::new, OnceLock::from),
            provider,
        }
    }

    /// Vectors of the same fingerprint can be compared.
    pub(crate) fn fingerprint(&self, normalize: bool) -> Fingerprint {
        self.fingerprints[usize::from(normalize)]
    }

    /// What makes keys of texts and of tokens, for requests with this wish.
    pub(crate) fn keys(&self, wish: Wish) -> Keys {
        let of = self.fingerprint(wish.normalize);
        let with = |kind: &[u8]| Fingerprint::of(&[&of.0, &[u8::from(wish.truncate)], kind]);
        Keys { texts: with(b"text"), tokens: with(b"tokens") }
    }

    /// Whether this is the key of a text or of tokens that this model embeds, whatever the wish.
    pub(crate) fn makes(&self, key: &Key) -> bool {
        let both = [false, true];
        let wishes = both.into_iter().flat_map(|normalize| both.map(|truncate| Wish { normalize, truncate }));
        wishes.map(|wish| self.keys(wish)).any(|keys| key.model == keys.texts || key.model == keys.tokens)
    }

    pub(crate) fn dimension(&self) -> Option<usize> {
        self.dimension.get().copied()
    }

    /// Whether it can be a vector of this model.
    pub(crate) fn fits(&self, vector: &[f32]) -> bool {
        !vector.is_empty() && self.dimension().is_none_or(|dimension| dimension == vector.len())
    }

    /// Looks at what a provider answered, and learns the dimension from the first answer.
    ///
    /// # Errors
    /// Another number of vectors than asked for, another dimension, numbers that are none.
    pub(crate) fn check(&self, answered: &[Embedding], asked: usize) -> Result<(), ProviderError> {
        let bad = |what: String| Err(ProviderError::BadAnswer { what });
        if answered.len() != asked {
            return bad(format!("it answered {} vectors for {asked} texts", answered.len()));
        }
        let Some(first) = answered.first() else { return Ok(()) };
        if first.vector.is_empty() {
            return bad("it answered a vector of no dimensions".into());
        }
        for Embedding { vector, .. } in answered {
            if !vector.iter().all(|x| x.is_finite()) {
                return bad("it answered a vector with numbers that are not finite".into());
            }
            let dimension = self.dimension().unwrap_or(first.vector.len());
            if vector.len() != dimension {
                return bad(format!("it answered a vector of {} dimensions instead of {dimension}", vector.len()));
            }
        }
        let dimension = *self.dimension.get_or_init(|| first.vector.len());
        // Another answer may have been the first one meanwhile.
        if first.vector.len() != dimension {
            return bad(format!("it answered a vector of {} dimensions instead of {dimension}", first.vector.len()));
        }
        Ok(())
    }
}

/// Makes keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    texts: Fingerprint,
    tokens: Fingerprint,
}

impl Keys {
    pub(crate) fn of(&self, input: &Input) -> Key {
        let model = match input {
            Input::Text(_) => self.texts,
            Input::Tokens(_) => self.tokens,
        };
        Key { model, text: hash(input) }
    }
}

/// A model that may not be there yet.
enum Slot {
    /// It is being fetched or opened.
    Loading,
    Ready(Arc<Model>),
    /// It cannot be used, and why.
    Broken(String),
}

/// All of them.
pub(crate) struct Models {
    by_name: BTreeMap<String, RwLock<Slot>>,
    default: String,
}

impl Models {
    /// All of these names, none of them there yet.
    pub(crate) fn new(names: impl Iterator<Item = String>, default: &str) -> Self {
        let by_name = names.map(|name| (name, RwLock::new(Slot::Loading))).collect();
        Models { by_name, default: default.to_owned() }
    }

    /// A model is there, or cannot be.
    pub(crate) fn set(&self, name: &str, model: Result<Model, String>) {
        if let Some(slot) = self.by_name.get(name) {
            let filled = model.map_or_else(Slot::Broken, |model| Slot::Ready(Arc::new(model)));
            *slot.write().unwrap_or_else(PoisonError::into_inner) = filled;
        }
    }

    /// The model of a request; the default one where it names none.
    ///
    /// # Errors
    /// 404, with the names there are; 503 for one that is not there yet or cannot be used.
    pub(crate) fn resolve(&self, name: Option<&str>) -> Result<Arc<Model>, Error> {
        let name = name.unwrap_or(&self.default);
        let Some(slot) = self.by_name.get(name) else {
            let known = self.by_name.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(Error::NoModel { name: name.to_owned(), known });
        };
        match &*slot.read().unwrap_or_else(PoisonError::into_inner) {
            Slot::Ready(model) => Ok(model.clone()),
            Slot::Loading => Err(Error::Loading(name.to_owned())),
            Slot::Broken(reason) => Err(Error::Broken { name: name.to_owned(), reason: reason.clone() }),
        }
    }

    /// Whether there is a model of this name, be it usable or not.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Those that can be used, by name.
    pub(crate) fn ready(&self) -> Vec<Arc<Model>> {
        self.by_name.keys().filter_map(|name| self.resolve(Some(name)).ok()).collect()
    }

    pub(crate) fn is_default(&self, model: &Model) -> bool {
        self.default == model.name
    }
}
