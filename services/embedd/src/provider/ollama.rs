use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::upstream::{SetUpError, Upstream, garbage, tokens_of};
use super::{Described, Input, Provider, ProviderError, Tokens, Wish};
use crate::config::ModelConfig;
use crate::embedding::{Embedding, normalize};

/// A model of an Ollama server: `POST /api/embed`.
pub(crate) struct Ollama {
    upstream: Upstream,
    model: String,
    described: Described,
}

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    truncate: bool,
}

#[derive(Deserialize)]
struct Answered {
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u64>,
}

impl Ollama {
    /// # Errors
    /// What of the configuration cannot be used.
    pub(crate) fn new(name: &str, config: &ModelConfig) -> Result<Self, SetUpError> {
        let model = if config.model.is_empty() { name } else { &config.model };
        let described =
            Described { max_tokens: Some(config.tokens_max).filter(|max| *max > 0), ..Described::default() };
        Ok(Ollama { upstream: Upstream::new(config, &["api", "embed"])?, model: model.to_owned(), described })
    }

    fn ask(&self, inputs: &[Input], truncate: bool) -> Result<Vec<u8>, ProviderError> {
        let asked = Asked { model: &self.model, input: inputs.iter().map(text).collect::<Result<_, _>>()?, truncate };
        serde_json::to_vec(&asked).map_err(|error| ProviderError::Internal { what: error.to_string() })
    }
}

#[async_trait]
impl Provider for Ollama {
    fn kind(&self) -> &'static str {
        "ollama"
    }

    fn describe(&self) -> &Described {
        &self.described
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn embed(&self, inputs: Vec<Input>, wish: Wish, deadline: Instant) -> Result<Vec<Embedding>, ProviderError> {
        let read = |inputs: &[Input], answer: &[u8]| {
            let answered: Answered = serde_json::from_slice(answer).map_err(|error| garbage(&error))?;
            let tokens = tokens_of(inputs, answered.prompt_eval_count);
            let vectors = answered.embeddings.into_iter().zip(tokens.into_iter().chain(std::iter::repeat(0)));
            Ok(vectors.map(|(vector, tokens)| embedding(vector, tokens, wish)).collect())
        };
        self.upstream.embed(inputs, !wish.truncate, deadline, |inputs| self.ask(inputs, wish.truncate), read).await
    }

    async fn tokenize(&self, _: Vec<String>) -> Result<Vec<Tokens>, ProviderError> {
        Err(ProviderError::Unsupported("Ollama does not tell a text's tokens"))
    }
}

fn text(input: &Input) -> Result<&str, ProviderError> {
    match input {
        Input::Text(text) => Ok(text),
        Input::Tokens(_) => Err(ProviderError::Refused("Ollama takes texts, not tokens".into())),
    }
}

/// As the request wants it.
pub(super) fn embedding(mut vector: Vec<f32>, tokens: u32, wish: Wish) -> Embedding {
    if wish.normalize {
        normalize(&mut vector);
    }
    Embedding { tokens, vector: vector.into() }
}
