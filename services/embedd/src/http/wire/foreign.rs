use kit::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::inputs::Inputs;
use crate::models;

/// OpenAI's request. Fields that are not here are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct OpenAiEmbed {
    /// A text, a list of texts, a list of tokens or a list of lists of tokens.
    #[schema(value_type = Object)]
    pub(in crate::http) input: Inputs,
    /// Left out or empty: the default model.
    pub(in crate::http) model: Option<String>,
    /// `float` (also where it is left out) or `base64`: of little-endian f32.
    encoding_format: Option<String>,
    /// Refused unless it is what the model has anyway.
    pub(in crate::http) dimensions: Option<u64>,
}

impl OpenAiEmbed {
    /// # Errors
    /// 400 for what is neither.
    pub(in crate::http) fn as_base64(&self) -> Result<bool, Problem> {
        match self.encoding_format.as_deref() {
            None | Some("float") => Ok(false),
            Some("base64") => Ok(true),
            Some(other) => Err(Problem::invalid(format!("encoding_format: {other:?} is neither float nor base64"))),
        }
    }
}

/// One vector.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct OpenAiEmbedding {
    /// `embedding`
    object: String,
    index: usize,
    /// Or a text in base64.
    embedding: Vec<f32>,
}

/// Of all texts, cached ones too.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct OpenAiUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// OpenAI's answer.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct OpenAiEmbedded {
    /// `list`
    object: String,
    data: Vec<OpenAiEmbedding>,
    model: String,
    usage: OpenAiUsage,
}

/// A model as OpenAI shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct OpenAiModel {
    id: String,
    /// `model`
    object: &'static str,
    /// Always 0: it is not known.
    created: u64,
    /// The provider.
    owned_by: &'static str,
}

impl OpenAiModel {
    pub(in crate::http) fn of(model: &models::Model) -> Self {
        OpenAiModel { id: model.name.clone(), object: "model", created: 0, owned_by: model.provider.kind() }
    }
}

/// All models as OpenAI lists them.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct OpenAiModels {
    /// `list`
    object: &'static str,
    data: Vec<OpenAiModel>,
}

impl OpenAiModels {
    pub(in crate::http) fn of(models: impl Iterator<Item = OpenAiModel>) -> Self {
        OpenAiModels { object: "list", data: models.collect() }
    }
}

/// Ollama's request. Fields that are not here are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct OllamaEmbed {
    /// Empty: the default model.
    #[serde(default)]
    pub(in crate::http) model: String,
    /// A text or a list of texts; nothing is answered for nothing.
    #[schema(value_type = Object)]
    pub(in crate::http) input: Option<Inputs>,
    /// False refuses texts that are too long for the model, which are cut off otherwise.
    pub(in crate::http) truncate: Option<bool>,
    /// Refused unless it is what the model has anyway.
    pub(in crate::http) dimensions: Option<u64>,
}

/// Ollama's answer.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct OllamaEmbedded {
    /// As the request has it.
    model: String,
    embeddings: Vec<Vec<f32>>,
    /// Nanoseconds.
    total_duration: u64,
    /// Always 0: models are loaded at the start.
    load_duration: u64,
    /// Tokens of all texts.
    prompt_eval_count: u64,
}
