//! Where vectors come from: a port with one adapter per kind of model.

mod hash;
mod hub;
mod local;
mod ollama;
mod openai;
mod upstream;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::embedding::Embedding;
pub(crate) use hash::Hash;
pub(crate) use hub::Hub;
pub(crate) use local::Local;
pub(crate) use ollama::Ollama;
pub(crate) use openai::Openai;

/// What is embedded: already checked against the limits of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// With the model's prefix, where it has one.
    Text(String),
    /// Token ids, without the ones that mark beginning and end.
    Tokens(Vec<u32>),
}

impl Input {
    /// As they count for the limits.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Input::Text(text) => text.len(),
            Input::Tokens(ids) => size_of_val(&ids[..]),
        }
    }
}

/// A text as a model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// With those that mark beginning and end; cut off where the model cuts it off.
    pub(crate) ids: Vec<u32>,
    /// How many there are without the cut.
    pub(crate) count: usize,
}

/// How a request wants its vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wish {
    /// Unit length.
    pub(crate) normalize: bool,
    /// Whether texts that are too long are cut off, or refused.
    pub(crate) truncate: bool,
}

/// What is known of a model before it was asked for anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Described {
    /// Numbers in a vector; `None` where only an answer tells.
    pub(crate) dimension: Option<usize>,
    /// Longer texts are cut off.
    pub(crate) max_tokens: Option<usize>,
    /// Whether its vectors have unit length of themselves.
    pub(crate) normalizes: bool,
    /// What its vectors depend on besides name and configuration: weights, tokenizer, pooling, precision.
    pub(crate) revision: Vec<u8>,
}

/// One model behind one provider.
#[async_trait]
pub(crate) trait Provider: Send + Sync {
    /// `local`, `ollama`, `openai` or `hash`.
    fn kind(&self) -> &'static str;

    /// What is known without asking it.
    fn describe(&self) -> &Described;

    /// Whether its answers cost time or money elsewhere, so that processes do well to agree on who asks.
    fn is_remote(&self) -> bool;

    /// One vector for each input, in their order. Checked here: their number. Checked by the caller: their
    /// dimension and that all numbers are finite.
    ///
    /// # Errors
    /// [`ProviderError`]; all of the inputs or none.
    async fn embed(&self, inputs: Vec<Input>, wish: Wish, deadline: Instant) -> Result<Vec<Embedding>, ProviderError>;

    /// The tokens of texts as the model reads them.
    ///
    /// # Errors
    /// [`ProviderError::Unsupported`] where only the upstream knows.
    async fn tokenize(&self, texts: Vec<String>) -> Result<Vec<Tokens>, ProviderError>;
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// With `truncate` off.
    #[error("it has {tokens} tokens, {max} are allowed", tokens = tokens.map_or("too many".to_owned(), |n| n.to_string()))]
    TooLong {
        /// Which of the inputs.
        at: usize,
        /// Its length; `None` where the upstream does not say.
        tokens: Option<usize>,
        /// The longest there may be.
        max: usize,
    },
    /// What the request asks for is not possible with this model.
    #[error("{0}")]
    Refused(String),
    /// The upstream refuses one of the inputs.
    #[error("{what}")]
    TextRefused {
        /// Which of the inputs.
        at: usize,
        bytes: usize,
        what: String,
    },
    /// This provider cannot do it for any request.
    #[error("{0}")]
    Unsupported(&'static str),
    /// No room in the queue.
    #[error("too much waits for this model")]
    Overloaded { retry_after: Duration },
    /// 429 of the upstream, after what was worth trying.
    #[error("the upstream takes no more requests for now")]
    RateLimited { retry_after: Option<Duration> },
    /// The upstream cannot be reached, or fails.
    #[error("{what}")]
    Unreachable {
        what: String,
        /// Whether the next try may go better.
        again: bool,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The upstream answers what it must not: what was wrong, without anything secret.
    #[error("{what}")]
    BadAnswer { what: String },
    /// Not before the deadline.
    #[error("it did not answer in time")]
    Timeout,
    /// A failure of ours.
    #[error("{what}")]
    Internal { what: String },
}
