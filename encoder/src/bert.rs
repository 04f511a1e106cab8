//! BERT's forward pass (arXiv 1810.04805) over tokens that lie one after another, without padding.
//!
//! Shapes: `T` tokens of all texts of a batch, `H` hidden, `F` intermediate. All rows are computed alike,
//! whatever lies beside them: products give each row by the same additions in the same order.

mod attention;
mod gelu;
mod linear;
mod rows;

use std::sync::Arc;

use rayon::prelude::*;
use rten_gemm::GemmExecutor;
use rten_simd::SimdOp;

use crate::architecture::Architecture;
use crate::error::{EncodeError, OpenError};
use crate::weights::Weights;
use crate::worker::Crew;
use linear::Linear;
use rows::{Activate, NormaliseSum, share_out};

/// Fewer tokens are not worth a way of their own through all weights.
const PART_TOKENS_MIN: usize = 32;

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
pub(crate) struct Scratch(Vec<Part>);

/// Of some texts of a batch, which one thread goes through all steps of a layer with, so that their rows stay in
/// its core's cache and nobody is waited for in between. A thread that is done takes over steps of others.
#[derive(Default)]
struct Part {
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

    /// The last layer's vectors of the tokens of each text, one text after another, `T × H` in parts.
    pub(crate) fn forward<'a>(
        &self,
        texts: &[&[u32]],
        crew: &Crew,
        scratch: &'a mut Scratch,
    ) -> Result<impl Iterator<Item = &'a [f32]>, EncodeError> {
        let parts = divide(texts, crew.own().count());
        scratch.0.resize_with(parts.len().max(scratch.0.len()), Part::default);
        let mut parts: Vec<_> = parts.into_iter().zip(&mut scratch.0).collect();
        for (texts, part) in &mut parts {
            self.embed(texts, &mut part.tokens)?;
        }
        let mut layers = self.layers.as_slice();
        while !layers.is_empty() {
            let threads = crew.now();
            let unchanged = || Arc::ptr_eq(threads, crew.now());
            layers = threads.install(|| self.pass(layers, &mut parts, unchanged))?;
        }
        Ok(parts.into_iter().map(|(_, part)| part.tokens.as_slice()))
    }

    /// One layer after another, as long as `go_on`; those that are left.
    fn pass<'a>(
        &self,
        mut layers: &'a [Layer],
        parts: &mut [(&[&[u32]], &mut Part)],
        go_on: impl Fn() -> bool,
    ) -> Result<&'a [Layer], EncodeError> {
        while let Some((layer, behind)) = layers.split_first() {
            parts.par_iter_mut().try_for_each(|(texts, part)| {
                // It may not be shared by threads, and is made in no time.
                layer.forward(&GemmExecutor::new(), &self.architecture, texts, part)
            })?;
            layers = behind;
            if !go_on() {
                break;
            }
        }
        Ok(layers)
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

/// Texts in `parts_max` parts of about as many tokens each, or in fewer where those would be too small.
fn divide<'t, 'i>(mut texts: &'t [&'i [u32]], parts_max: usize) -> Vec<&'t [&'i [u32]]> {
    let mut left: usize = texts.iter().map(|text| text.len()).sum();
    let parts = parts_max.min(left / PART_TOKENS_MIN).max(1);
    let mut divided = Vec::with_capacity(parts);
    for parts_left in (2..=parts).rev() {
        let (mut count, mut tokens) = (0, 0);
        // A text belongs to the part that has more than half of it.
        while count < texts.len() && (tokens + texts[count].len() / 2) * parts_left < left {
            tokens += texts[count].len();
            count += 1;
        }
        let (part, behind) = texts.split_at(count);
        (texts, left) = (behind, left - tokens);
        divided.push(part);
    }
    divided.push(texts);
    divided.retain(|part| !part.is_empty());
    divided
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
        part: &mut Part,
    ) -> Result<(), EncodeError> {
        let Part { tokens, projected, context, product, wide, attention } = part;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_about_as_many_tokens_each() {
        let lengths_of = |lengths: &[usize], parts_max: usize| {
            let texts: Vec<Vec<u32>> = lengths.iter().map(|length| vec![0; *length]).collect();
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let lengths = |part: &[&[u32]]| part.iter().map(|text| text.len()).collect::<Vec<_>>();
            divide(&texts, parts_max).into_iter().map(lengths).collect::<Vec<_>>()
        };
        assert_eq!(lengths_of(&[20, 20, 20, 20], 2), [[20, 20], [20, 20]]);
        assert_eq!(lengths_of(&[20, 20, 20, 20], 1), [[20, 20, 20, 20]]);
        assert_eq!(lengths_of(&[90, 10, 20, 30, 10], 2), [vec![90], vec![10, 20, 30, 10]]);
        assert_eq!(lengths_of(&[10, 20, 30, 10, 90], 2), [vec![10, 20, 30, 10], vec![90]]);
        // Too few tokens for two, for any, and one text that nobody can share.
        assert_eq!(lengths_of(&[20, 20, 20], 2), [[20, 20, 20]]);
        assert_eq!(lengths_of(&[5], 4), [[5]]);
        assert_eq!(lengths_of(&[256], 2), [[256]]);
        assert_eq!(lengths_of(&[40, 40, 40, 40], 3), [vec![40], vec![40], vec![40, 40]]);
    }
}
