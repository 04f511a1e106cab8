use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::ollama::embedding;
use super::upstream::{SetUpError, Upstream, garbage, tokens_of};
use super::{Described, Input, Provider, ProviderError, Tokens, Wish};
use crate::config::ModelConfig;
use crate::embedding::Embedding;

/// A model of OpenAI, or of any server that speaks its protocol: `POST /embeddings`.
///
/// What is too long is the upstream's to refuse: the protocol has no truncation.
pub(crate) struct Openai {
    upstream: Upstream,
    model: String,
    dimensions: Option<usize>,
    described: Described,
}

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: AskedInput<'a>,
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AskedInput<'a> {
    Texts(Vec<&'a str>),
    Tokens(Vec<&'a [u32]>),
}

#[derive(Deserialize)]
struct Answered {
    data: Vec<Datum>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Datum {
    index: usize,
    embedding: Numbers,
}

/// Some servers answer base64 whatever was asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
}

impl Openai {
    /// # Errors
    /// What of the configuration cannot be used.
    pub(crate) fn new(name: &str, config: &ModelConfig) -> Result<Self, SetUpError> {
        let model = if config.model.is_empty() { name } else { &config.model };
        Ok(Openai {
            upstream: Upstream::new(config, &["embeddings"])?,
            model: model.to_owned(),
            dimensions: Some(config.dimension).filter(|dimension| *dimension > 0),
            described: Described { max_tokens: Some(config.tokens_max).filter(|max| *max > 0), ..Described::default() },
        })
    }

    fn ask(&self, inputs: &[Input]) -> Result<Vec<u8>, ProviderError> {
        let texts = inputs.iter().map(|input| if let Input::Text(text) = input { Some(text.as_str()) } else { None });
        let tokens = inputs.iter().map(|input| if let Input::Tokens(ids) = input { Some(&ids[..]) } else { None });
        let input = texts.collect::<Option<_>>().map(AskedInput::Texts);
        let input = input.or_else(|| tokens.collect::<Option<_>>().map(AskedInput::Tokens));
        let input = input.ok_or_else(|| ProviderError::Refused("texts and tokens do not mix".into()))?;
        let asked = Asked { model: &self.model, input, encoding_format: "float", dimensions: self.dimensions };
        serde_json::to_vec(&asked).map_err(|error| ProviderError::Internal { what: error.to_string() })
    }
}

#[async_trait]
impl Provider for Openai {
    fn kind(&self) -> &'static str {
        "openai"
    }

    fn describe(&self) -> &Described {
        &self.described
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn embed(&self, inputs: Vec<Input>, wish: Wish, deadline: Instant) -> Result<Vec<Embedding>, ProviderError> {
        let read = |inputs: &[Input], answer: &[u8]| read(inputs, answer, wish);
        self.upstream.embed(inputs, !wish.truncate, deadline, |inputs| self.ask(inputs), read).await
    }

    async fn tokenize(&self, _: Vec<String>) -> Result<Vec<Tokens>, ProviderError> {
        Err(ProviderError::Unsupported("OpenAI's protocol does not tell a text's tokens"))
    }
}

fn read(inputs: &[Input], answer: &[u8], wish: Wish) -> Result<Vec<Embedding>, ProviderError> {
    let answered: Answered = serde_json::from_slice(answer).map_err(|error| garbage(&error))?;
    let bad = |what: String| ProviderError::BadAnswer { what };
    let (found, wanted) = (answered.data.len(), inputs.len());
    if found != wanted {
        return Err(bad(format!("it answered {found} vectors for {wanted} texts")));
    }
    let tokens = tokens_of(inputs, answered.usage.and_then(|usage| usage.prompt_tokens));
    let mut embeddings = vec![None; wanted];
    for Datum { index, embedding: numbers } in answered.data {
        let vector = match numbers {
            Numbers::Floats(floats) => floats,
            Numbers::Base64(text) => floats(&text).ok_or_else(|| bad("a vector is no base64 of numbers".into()))?,
        };
        let slot = embeddings.get_mut(index).filter(|slot| slot.is_none());
        let slot = slot.ok_or_else(|| bad(format!("the index {index} is there twice or beyond the texts")))?;
        *slot = Some(embedding(vector, tokens[index], wish));
    }
    Ok(embeddings.into_iter().flatten().collect())
}

fn floats(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (floats, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
