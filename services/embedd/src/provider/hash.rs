use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Described, Input, Provider, ProviderError, Tokens, Wish};
use crate::embedding::{Embedding, normalize};

/// Longer texts are cut off, so that tests of truncation need no model.
const TOKENS_MAX: usize = 512;

/// Numbers made of the text's hash: the same for the same text, and without any meaning. For tests alone.
///
/// Its tokens are the words between white space.
pub(crate) struct Hash {
    dimension: usize,
    tokens_max: usize,
    described: Described,
}

impl Hash {
    pub(crate) fn new(dimension: usize, tokens_max: usize) -> Self {
        let tokens_max = if tokens_max == 0 { TOKENS_MAX } else { tokens_max };
        let described = Described {
            dimension: Some(dimension),
            max_tokens: Some(tokens_max),
            normalizes: true,
            revision: Vec::new(),
        };
        Hash { dimension, tokens_max, described }
    }

    fn vector(&self, words: &[String], unit: bool) -> Vec<f32> {
        let seed = Sha256::digest(words.join(" "));
        let mut vector: Vec<f32> = (0..self.dimension as u64)
            .map(|at| {
                let hash = Sha256::new().chain_update(seed).chain_update(at.to_le_bytes()).finalize();
                f32::from(i16::from_le_bytes([hash[0], hash[1]])) / 16_384.0
            })
            .collect();
        if unit {
            normalize(&mut vector);
        }
        vector
    }
}

#[async_trait]
impl Provider for Hash {
    fn kind(&self) -> &'static str {
        "hash"
    }

    fn describe(&self) -> &Described {
        &self.described
    }

    fn is_remote(&self) -> bool {
        false
    }

    async fn embed(&self, inputs: Vec<Input>, wish: Wish, _: Instant) -> Result<Vec<Embedding>, ProviderError> {
        let mut embeddings = Vec::with_capacity(inputs.len());
        for (at, input) in inputs.into_iter().enumerate() {
            let mut words: Vec<String> = match input {
                Input::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
                Input::Tokens(ids) => ids.iter().map(u32::to_string).collect(),
            };
            if words.len() > self.tokens_max {
                if !wish.truncate {
                    return Err(ProviderError::TooLong { at, tokens: Some(words.len()), max: self.tokens_max });
                }
                words.truncate(self.tokens_max);
            }
            let vector = self.vector(&words, wish.normalize).into();
            embeddings.push(Embedding { tokens: words.len() as u32, vector });
            // Many texts must not hold the worker.
            tokio::task::yield_now().await;
        }
        Ok(embeddings)
    }

    async fn tokenize(&self, texts: Vec<String>) -> Result<Vec<Tokens>, ProviderError> {
        let id = |word: &str| {
            let hash = Sha256::digest(word);
            u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])
        };
        let tokens = texts.iter().map(|text| {
            let mut ids: Vec<u32> = text.split_whitespace().map(id).collect();
            let count = ids.len();
            ids.truncate(self.tokens_max);
            Tokens { ids, count }
        });
        Ok(tokens.collect())
    }
}
