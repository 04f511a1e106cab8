use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::embedder::NewEmbed;
use crate::http::inputs::Texts;
use crate::models;
use crate::provider::{Input, Tokens};

/// What to embed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Embed {
    #[schema(value_type = Vec<String>)]
    texts: Texts,
    /// Left out: the default model.
    model: Option<String>,
    /// Whether vectors have unit length; left out: as the model is configured, or as its own files say.
    normalize: Option<bool>,
    /// False refuses texts that are too long for the model, which are cut off otherwise.
    truncate: Option<bool>,
}

impl From<Embed> for NewEmbed {
    fn from(body: Embed) -> Self {
        NewEmbed {
            model: body.model,
            inputs: body.texts.0.into_iter().map(Input::Text).collect(),
            normalize: body.normalize,
            truncate: body.truncate.unwrap_or(true),
        }
    }
}

/// The fields of [`Embed`] for an Arrow body.
#[derive(Debug, Default, PartialEq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct EmbedQuery {
    /// With an Arrow body: the model; left out: the default one.
    model: Option<String>,
    /// With an Arrow body: whether vectors have unit length.
    normalize: Option<bool>,
    /// With an Arrow body: whether texts that are too long are cut off.
    truncate: Option<bool>,
}

impl From<EmbedQuery> for NewEmbed {
    fn from(query: EmbedQuery) -> Self {
        NewEmbed {
            model: query.model,
            inputs: Vec::new(),
            normalize: query.normalize,
            truncate: query.truncate.unwrap_or(true),
        }
    }
}

/// Vectors in the order of the texts.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct Embedded {
    /// As it is configured, never as an upstream calls it.
    model: String,
    /// Numbers in each vector.
    dimension: usize,
    vectors: Vec<Vec<f32>>,
    /// How many of the texts were not computed for this request.
    cached: usize,
    /// Of all texts.
    tokens: u64,
}

/// What to tokenize.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Tokenize {
    #[schema(value_type = Vec<String>)]
    pub(in crate::http) texts: Texts,
    /// Left out: the default model.
    pub(in crate::http) model: Option<String>,
}

/// Tokens of one text.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TokenizedText {
    /// With the tokens that mark beginning and end; cut off where the model cuts the text off.
    tokens: Vec<u32>,
    /// How many there are without the cut.
    count: usize,
}

/// Tokens in the order of the texts.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Tokenized {
    model: String,
    /// Tokens that the model takes of a text.
    max_tokens: Option<usize>,
    texts: Vec<TokenizedText>,
}

impl Tokenized {
    pub(in crate::http) fn of(model: &models::Model, texts: Vec<Tokens>) -> Self {
        let max_tokens = model.provider.describe().max_tokens;
        let text = |Tokens { ids, count }| TokenizedText { tokens: ids, count };
        Tokenized { model: model.name.clone(), max_tokens, texts: texts.into_iter().map(text).collect() }
    }
}

/// A model as it is configured.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Model {
    name: String,
    /// `local`, `ollama`, `openai` or `hash`.
    provider: &'static str,
    /// Null while no vector was seen and none is configured.
    dimension: Option<usize>,
    max_tokens: Option<usize>,
    /// Whether vectors have unit length where a request does not say.
    normalize: bool,
    /// SHA-256 over everything that makes its vectors what they are, as hexadecimal digits: vectors with the
    /// same fingerprint can be compared.
    fingerprint: String,
    default: bool,
}

impl Model {
    pub(in crate::http) fn of(model: &models::Model, is_default: bool) -> Self {
        Model {
            name: model.name.clone(),
            provider: model.provider.kind(),
            dimension: model.dimension(),
            max_tokens: model.provider.describe().max_tokens,
            normalize: model.normalize,
            fingerprint: model.fingerprint(model.normalize).to_string(),
            default: is_default,
        }
    }
}

/// All models, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Models {
    pub(in crate::http) models: Vec<Model>,
    /// Always null: the list is whole.
    pub(in crate::http) next_cursor: Option<String>,
}
