//! BERT's forward pass (arXiv 1810.04805) over tokens that lie one after another, without padding.
//!
//! Shapes: `T` tokens of all texts of a batch, `H` hidden, `F` intermediate. All rows are computed alike,
//! whatever lies beside them: products give each row by the same additions in the same order.

mod attention;
mod gelu;
mod linear;
mod rows;

use rten_gemm::GemmExecutor;
use rten_simd::SimdOp;

use crate::architecture::Architecture;
use crate::error::{EncodeError, OpenError};
use crate::weights::Weights;
use linear::Linear;
use rows::{Activate, NormaliseSum, share_out};

/// A BERT with its weights, packed for this processor.
pub(crate) struct Bert {
    architecture: Architecture,
    /// `vocabulary × H`.
    words: Vec<f32>,
    /// `positions × H`, with the token type of a single text added.
    positions: Vec<f32>,
    normal: Normal,
    layers: Vec<Layer>,
}

struct Layer {
    /// `H → 3 H`: queries, keys, values.
    attend: Linear,
    merge: Linear,
    merged: Normal,
    widen: Linear,
    narrow: Linear,
    narrowed: Normal,
}

/// What a layer normalisation scales and shifts by.
pub(crate) struct Normal {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

/// Memory of a pass, kept for the next one.
#[derive(Default)]
pub(crate) struct Scratch {
    /// `T × H`: the tokens' vectors; after a pass, its result.
    tokens: Vec<f32>,
    projected: Vec<f32>,
    context: Vec<f32>,
    product: Vec<f32>,
    wide: Vec<f32>,
    /// One per thread.
    attention: Vec<attention::Scratch>,
}

impl Bert {
    pub(crate) fn read(architecture: Architecture, weights: &Weights<'_>) -> Result<Self, OpenError> {
        let (hidden, epsilon) = (architecture.hidden, architecture.epsilon);
        let words = weights.tensor("embeddings.word_embeddings.weight", &[architecture.vocabulary, hidden])?;
        let mut positions =
            weights.tensor("embeddings.position_embeddings.weight", &[architecture.positions, hidden])?;
        let types = weights.tensor("embeddings.token_type_embeddings.weight", &[architecture.token_types, hidden])?;
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(&types).for_each(|(x, shift)| *x += shift);
        }
        let normal = Normal::read(weights, "embeddings.LayerNorm", hidden, epsilon)?;
        let layers = (0..architecture.layers)
            .map(|number| Layer::read(&architecture, weights, number))
            .collect::<Result<_, _>>()?;
        Ok(Self { architecture, words, positions, normal, layers })
    }

    pub(crate) fn hidden(&self) -> usize {
        self.architecture.hidden
    }

    /// The last layer's vectors of the tokens of each text, one text after another: `T × H`. Each step is shared
    /// out to the threads of the pool that it is called on, as far as they have nothing else to do.
    pub(crate) fn forward<'a>(&self, texts: &[&[u32]], scratch: &'a mut Scratch) -> Result<&'a [f32], EncodeError> {
        self.embed(texts, &mut scratch.tokens)?;
        let gemm = GemmExecutor::new();
        for layer in &self.layers {
            layer.forward(&gemm, &self.architecture, texts, scratch)?;
        }
        Ok(&scratch.tokens)
    }

    fn embed(&self, texts: &[&[u32]], tokens: &mut Vec<f32>) -> Result<(), EncodeError> {
        let hidden = self.architecture.hidden;
        tokens.clear();
        for text in texts {
            let positions = self.positions[self.architecture.first_position * hidden..].chunks_exact(hidden);
            if text.len() > positions.len() {
                return Err(EncodeError::because("a text is longer than the table of positions"));
            }
            for (id, position) in text.iter().zip(positions) {
                let word = usize::try_from(*id).ok().and_then(|id| self.words.chunks_exact(hidden).nth(id));
                let word = word.ok_or_else(|| EncodeError::because("a token id is beyond the vocabulary"))?;
                tokens.extend(word.iter().zip(position).map(|(x, y)| x + y));
            }
        }
        NormaliseSum { rows: tokens, sums: None, normal: &self.normal }.dispatch();
        Ok(())
    }
}

impl Layer {
    fn read(architecture: &Architecture, weights: &Weights<'_>, number: usize) -> Result<Self, OpenError> {
        let &Architecture { hidden, intermediate, epsilon, .. } = architecture;
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let linear = |parts: &[&str], from, to| {
            let names: Vec<_> = parts.iter().map(|part| name(part)).collect();
            Linear::read(weights, &names, from, to)
        };
        Ok(Self {
            attend: linear(&["attention.self.query", "attention.self.key", "attention.self.value"], hidden, hidden)?,
            merge: linear(&["attention.output.dense"], hidden, hidden)?,
            merged: Normal::read(weights, &name("attention.output.LayerNorm"), hidden, epsilon)?,
            widen: linear(&["intermediate.dense"], hidden, intermediate)?,
            narrow: linear(&["output.dense"], intermediate, hidden)?,
            narrowed: Normal::read(weights, &name("output.LayerNorm"), hidden, epsilon)?,
        })
    }

    fn forward(
        &self,
        gemm: &GemmExecutor,
        sizes: &Architecture,
        texts: &[&[u32]],
        scratch: &mut Scratch,
    ) -> Result<(), EncodeError> {
        let Scratch { tokens, projected, context, product, wide, attention } = scratch;
        self.attend.apply(gemm, tokens, projected)?;
        context.resize(tokens.len(), 0.0);
        attention::attend(texts, projected, context, sizes, attention);
        self.merge.product(gemm, context, product)?;
        self.merged.sum(tokens, product, &self.merge);
        self.widen.product(gemm, tokens, wide)?;
        let (bias, activation) = (self.widen.bias(), sizes.activation);
        share_out(wide, bias.len(), |_, rows| Activate { rows, bias, activation }.dispatch());
        self.narrow.product(gemm, wide, product)?;
        self.narrowed.sum(tokens, product, &self.narrow);
        Ok(())
    }
}

impl Normal {
    fn read(weights: &Weights<'_>, name: &str, width: usize, epsilon: f32) -> Result<Self, OpenError> {
        let scale = weights.tensor(&format!("{name}.weight"), &[width])?;
        let shift = weights.tensor(&format!("{name}.bias"), &[width])?;
        Ok(Self { scale, shift, epsilon })
    }

    /// `rows = normal(rows + product + bias)`, with the bias of the matrix that the product is of.
    fn sum(&self, rows: &mut [f32], product: &[f32], matrix: &Linear) {
        let width = self.scale.len();
        share_out(rows, width, |first, rows| {
            let product = &product[first * width..][..rows.len()];
            NormaliseSum { rows, sums: Some((product, matrix.bias())), normal: self }.dispatch();
        });
    }
}
