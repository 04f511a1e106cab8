//! BERT's forward pass (arXiv 1810.04805) over tokens that lie one after another, without padding.
//!
//! Shapes: `T` tokens of all texts of a batch, `H` hidden, `F` intermediate; all in [`panels`]. All rows are
//! computed alike, whatever lies beside them: products give each row by the same additions in the same order.

mod activation;
mod attention;
mod linear;
mod normal;
mod panels;
mod product;

use crate::architecture::Architecture;
use crate::error::{EncodeError, OpenError};
use crate::weights::Weights;
use linear::Linear;
use normal::Normal;
use panels::{Columns, Line, PANEL};

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

/// Memory of a pass, kept for the next one.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The tokens' vectors: `T × H`.
    tokens: Vec<Line>,
    /// Queries, keys and values.
    projected: Vec<Line>,
    context: Vec<Line>,
    wide: Vec<Line>,
    /// One per thread.
    attention: Vec<attention::Scratch>,
    /// The result, row by row.
    vectors: Vec<f32>,
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
        let rows = texts.iter().map(|text| text.len()).sum();
        self.embed(texts, rows, &mut scratch.tokens)?;
        for layer in &self.layers {
            layer.forward(&self.architecture, texts, rows, scratch);
        }
        let Scratch { tokens, vectors, .. } = scratch;
        vectors.resize(rows * self.hidden(), 0.0);
        for (row, vector) in vectors.chunks_exact_mut(self.hidden()).enumerate() {
            let lines = tokens[row..].iter().step_by(rows);
            vector.chunks_mut(PANEL).zip(lines).for_each(|(part, line)| part.copy_from_slice(&line.0[..part.len()]));
        }
        Ok(vectors)
    }

    fn embed(&self, texts: &[&[u32]], rows: usize, tokens: &mut Vec<Line>) -> Result<(), EncodeError> {
        let hidden = self.hidden();
        tokens.resize(hidden.div_ceil(PANEL) * rows, Line::ZERO);
        let mut row = 0;
        for text in texts {
            let positions = self.positions[self.architecture.first_position * hidden..].chunks_exact(hidden);
            if text.len() > positions.len() {
                return Err(EncodeError::because("a text is longer than the table of positions"));
            }
            for (id, position) in text.iter().zip(positions) {
                let word = usize::try_from(*id).ok().and_then(|id| self.words.chunks_exact(hidden).nth(id));
                let word = word.ok_or_else(|| EncodeError::because("a token id is beyond the vocabulary"))?;
                let lines = tokens[row..].iter_mut().step_by(rows);
                for ((word, position), line) in word.chunks(PANEL).zip(position.chunks(PANEL)).zip(lines) {
                    *line = Line::ZERO;
                    line.0.iter_mut().zip(word.iter().zip(position)).for_each(|(sum, (x, y))| *sum = x + y);
                }
                row += 1;
            }
        }
        self.normal.apply(tokens, rows);
        Ok(())
    }
}

impl Layer {
    fn read(architecture: &Architecture, weights: &Weights<'_>, number: usize) -> Result<Self, OpenError> {
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let normal = |part: &str| Normal::read(weights, &name(part), architecture.hidden, architecture.epsilon);
        let linear = |parts: &[&str], from, to| {
            let names: Vec<_> = parts.iter().map(|part| name(part)).collect();
            Linear::read(weights, &names, from, to)
        };
        let (hidden, wide) = (Columns::one_group(architecture.hidden), Columns::one_group(architecture.intermediate));
        let heads = heads(architecture);
        Ok(Self {
            attend: linear(&["attention.self.query", "attention.self.key", "attention.self.value"], hidden, heads)?,
            merge: linear(&["attention.output.dense"], heads, hidden)?,
            merged: normal("attention.output.LayerNorm")?,
            widen: linear(&["intermediate.dense"], hidden, wide)?,
            narrow: linear(&["output.dense"], wide, hidden)?,
            narrowed: normal("output.LayerNorm")?,
        })
    }

    fn forward(&self, sizes: &Architecture, texts: &[&[u32]], rows: usize, scratch: &mut Scratch) {
        let Scratch { tokens, projected, context, wide, attention, .. } = scratch;
        self.attend.apply(tokens, rows, projected);
        attention::attend(texts, projected, heads(sizes), context, attention);
        self.merge.add(context, rows, tokens);
        self.merged.apply(tokens, rows);
        self.widen.activate(tokens, rows, wide, sizes.activation);
        self.narrow.add(wide, rows, tokens);
        self.narrowed.apply(tokens, rows);
    }
}

/// A head's components lie in panels of their own.
fn heads(sizes: &Architecture) -> Columns {
    Columns { groups: sizes.heads, width: sizes.hidden / sizes.heads }
}
