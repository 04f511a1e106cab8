//! `config.json`: the shape of a BERT-family network.

use crate::error::OpenError;
use crate::folder::Document;

/// Of what `config.json` calls `model_type`.
const FAMILY: [&str; 4] = ["bert", "roberta", "xlm-roberta", "camembert"];
/// Their positions begin behind the padding token's id.
const BEHIND_PADDING: [&str; 4] = ["roberta", "xlm-roberta", "camembert", "mpnet"];

/// What follows the first matrix of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x · Φ(x), by the error function.
    Gelu,
    /// The same, by the hyperbolic tangent.
    GeluTanh,
    Relu,
}

/// Sizes of a BERT-family network.
#[derive(Debug, Clone)]
pub(crate) struct Architecture {
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) layers: usize,
    pub(crate) intermediate: usize,
    /// Rows of the position table.
    pub(crate) positions: usize,
    /// The row of the first token: RoBERTa's table begins behind the padding token's id.
    pub(crate) first_position: usize,
    pub(crate) vocabulary: usize,
    pub(crate) token_types: usize,
    pub(crate) epsilon: f32,
    pub(crate) activation: Activation,
}

impl Architecture {
    /// None where it is another family, which only a graph can describe.
    pub(crate) fn read(config: &Document) -> Result<Option<Self>, OpenError> {
        let model_type: String = config.need("model_type")?;
        if !FAMILY.contains(&model_type.as_str()) {
            return Ok(None);
        }
        if let Some(other) = config.get::<String>("position_embedding_type")?.filter(|p| p != "absolute") {
            return Err(config.wrong("position_embedding_type", format!("{other:?} is not supported, only absolute")));
        }
        if config.get("is_decoder")?.unwrap_or(false) {
            return Err(config.wrong("is_decoder", "a decoder does not look at the words behind, as an encoder has to"));
        }
        let (hidden, heads) = (config.count("hidden_size")?, config.count("num_attention_heads")?);
        if hidden % heads != 0 {
            return Err(config.wrong("num_attention_heads", format!("{heads} heads do not divide {hidden}")));
        }
        let (first_position, positions) = positions(config, &model_type)?;
        Ok(Some(Self {
            hidden,
            heads,
            layers: config.need("num_hidden_layers")?,
            intermediate: config.count("intermediate_size")?,
            positions,
            first_position,
            vocabulary: config.count("vocab_size")?,
            token_types: config.get("type_vocab_size")?.unwrap_or(2),
            epsilon: config.get("layer_norm_eps")?.unwrap_or(1e-12),
            activation: activation(config)?,
        }))
    }

    /// The most tokens that the position table has rows for.
    pub(crate) fn tokens_max(&self) -> usize {
        self.positions - self.first_position
    }
}

/// The same for any family, where its configuration has a table of positions.
pub(crate) fn tokens_max(config: &Document) -> Result<Option<usize>, OpenError> {
    if config.get::<usize>("max_position_embeddings")?.is_none() {
        return Ok(None);
    }
    let (first, count) = positions(config, &config.need::<String>("model_type")?)?;
    Ok(Some(count - first))
}

/// The first token's row in the table of positions, and the number of rows.
fn positions(config: &Document, model_type: &str) -> Result<(usize, usize), OpenError> {
    let first = if BEHIND_PADDING.contains(&model_type) { config.get("pad_token_id")?.unwrap_or(1) + 1 } else { 0 };
    match config.count("max_position_embeddings")? {
        count if count > first => Ok((first, count)),
        _ => Err(config.wrong("max_position_embeddings", format!("must be above {first}"))),
    }
}

fn activation(config: &Document) -> Result<Activation, OpenError> {
    match config.get::<String>("hidden_act")?.as_deref() {
        None | Some("gelu") => Ok(Activation::Gelu),
        Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
        Some("relu") => Ok(Activation::Relu),
        Some(other) => Err(config.wrong("hidden_act", format!("{other:?} is not supported: gelu, gelu_new, relu"))),
    }
}
