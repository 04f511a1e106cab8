use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use encoder::{EmbedError, Encoder, EncoderOptions, OpenError, Overlong, Request, StartError};
use kit::heap;
use tokio::time::{Instant, timeout_at};

use super::{Described, Input, Provider, ProviderError, Tokens, Wish};
use crate::config::{Config, ModelConfig};
use crate::embedding::Embedding;

/// When somebody who was turned away is asked to come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A model that this process runs, from a folder of the sentence-transformers kind.
pub(crate) struct Local {
    encoder: Encoder,
    described: Described,
}

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("its threads cannot be started")]
    Start(#[from] StartError),
}

impl Local {
    /// Reads the whole model: takes a while, and blocks.
    ///
    /// # Errors
    /// A folder that is no such model.
    pub(crate) fn open(folder: &Path, config: &Config, model: &ModelConfig) -> Result<Self, LocalError> {
        let tokens_max = Some(model.tokens_max).filter(|max| *max > 0);
        let options = encoder::Options { max_tokens: tokens_max, ..encoder::Options::default() };
        let opened = Arc::new(heap::with_huge_pages(|| encoder::Model::open(folder, &options))?);
        let defaults = EncoderOptions::default();
        let options = EncoderOptions {
            threads: if config.local_threads == 0 { defaults.threads } else { config.local_threads },
            batch_tokens_max: config.local_batch_tokens_max,
            queue_texts_max: config.local_queue_texts_max,
            queue_bytes_max: config.local_queue_bytes_max,
        };
        let described = Described {
            dimension: Some(opened.dimension()),
            max_tokens: Some(opened.max_tokens()),
            normalizes: opened.normalises(),
            revision: opened.fingerprint().to_vec(),
        };
        Ok(Local { encoder: Encoder::start(opened, options)?, described })
    }
}

#[async_trait]
impl Provider for Local {
    fn kind(&self) -> &'static str {
        "local"
    }

    fn describe(&self) -> &Described {
        &self.described
    }

    fn is_remote(&self) -> bool {
        false
    }

    async fn embed(&self, inputs: Vec<Input>, wish: Wish, deadline: Instant) -> Result<Vec<Embedding>, ProviderError> {
        let inputs = inputs.into_iter().map(|input| match input {
            Input::Text(text) => encoder::Input::Text(text),
            Input::Tokens(ids) => encoder::Input::Ids(ids),
        });
        let request = Request { inputs: inputs.collect(), normalise: Some(wish.normalize), truncate: wish.truncate };
        let answer = timeout_at(deadline, self.encoder.embed(request)).await;
        let embedded = answer.map_err(|_| ProviderError::Timeout)?.map_err(refusal)?;
        let embeddings = embedded.vectors.into_iter().zip(embedded.tokens).map(|(vector, tokens)| Embedding {
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            vector: vector.into(),
        });
        Ok(embeddings.collect())
    }

    async fn tokenize(&self, texts: Vec<String>) -> Result<Vec<Tokens>, ProviderError> {
        let model = self.encoder.model().clone();
        let work = tokio::task::spawn_blocking(move || {
            let tokens = texts.iter().map(|text| {
                let tokens = model.tokenize(text, Overlong::Measure).map_err(|error| internal(&error))?;
                Ok(Tokens { count: tokens.truncated.unwrap_or(tokens.ids.len()), ids: tokens.ids })
            });
            tokens.collect()
        });
        work.await.map_err(|error| internal(&error))?
    }
}

fn internal(error: &dyn std::error::Error) -> ProviderError {
    ProviderError::Internal { what: error.to_string() }
}

fn refusal(error: EmbedError) -> ProviderError {
    match error {
        EmbedError::TooLong { index, tokens, max } => ProviderError::TooLong { at: index, tokens: Some(tokens), max },
        EmbedError::UnknownToken { id, vocabulary, .. } => {
            ProviderError::Refused(format!("there is no token {id}: the model knows those below {vocabulary}"))
        }
        EmbedError::Overloaded(_) => ProviderError::Overloaded { retry_after: RETRY_AFTER },
        failed => internal(&failed),
    }
}
