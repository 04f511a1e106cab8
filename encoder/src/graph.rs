//! `onnx/model.onnx`: any architecture that maps token ids to a vector per token, run by rten.

use std::path::Path;
use std::sync::Arc;

use rten::{ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};

use crate::error::{EncodeError, OpenError};

/// Texts run together while no more than a fifth of their tokens are padding.
const PADDING: (usize, usize) = (6, 5);

pub(crate) struct Graph {
    model: rten::Model,
    inputs: Vec<(NodeId, Input)>,
    output: NodeId,
    /// The token that fills up rows; the mask hides it.
    padding: i32,
    width: usize,
}

#[derive(Clone, Copy)]
enum Input {
    Ids,
    Mask,
    Types,
}

impl Graph {
    /// `width`: components of a token's vector.
    pub(crate) fn read(file: &Path, padding: u32, width: usize) -> Result<Self, OpenError> {
        let wrong = |reason: String| OpenError::Graph { file: file.to_owned(), reason };
        let mut options = ModelOptions::with_all_ops();
        let model = options.prepack_weights(true).load_file(file).map_err(|error| wrong(error.to_string()))?;
        let mut inputs = Vec::new();
        for id in model.input_ids() {
            let info = model.node_info(*id);
            let name = info.as_ref().and_then(|info| info.name()).unwrap_or_default();
            inputs.push((
                *id,
                match name {
                    "input_ids" => Input::Ids,
                    "attention_mask" => Input::Mask,
                    "token_type_ids" => Input::Types,
                    _ => return Err(wrong(format!("has an input {name:?}, which is not an encoder's"))),
                },
            ));
        }
        let named = ["last_hidden_state", "token_embeddings"].into_iter().find_map(|name| model.find_node(name));
        let output = named.or(model.output_ids().first().copied()).ok_or_else(|| wrong("has no output".to_owned()))?;
        let padding = i32::try_from(padding).map_err(|_| wrong("the padding token's id is out of range".to_owned()))?;
        Ok(Self { model, inputs, output, padding, width })
    }

    pub(crate) fn hidden(&self) -> usize {
        self.width
    }

    /// Gives `take` the vectors of each text's tokens, with its place in `texts`.
    pub(crate) fn forward(
        &self,
        texts: &[&[u32]],
        threads: &Arc<ThreadPool>,
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), EncodeError> {
        let mut order: Vec<_> = (0..texts.len()).collect();
        order.sort_by_key(|text| texts[*text].len());
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (group, behind) = rest.split_at(group(rest, texts));
            self.run(group, texts, threads, &mut take)?;
            rest = behind;
        }
        Ok(())
    }

    fn run(
        &self,
        group: &[usize],
        texts: &[&[u32]],
        threads: &Arc<ThreadPool>,
        take: &mut impl FnMut(usize, &[f32]),
    ) -> Result<(), EncodeError> {
        let longest = group.iter().map(|text| texts[*text].len()).max().unwrap_or(0);
        let shape = [group.len(), longest];
        let (mut ids, mut mask) = (NdTensor::full(shape, self.padding), NdTensor::<i32, 2>::zeros(shape));
        for (row, text) in group.iter().enumerate() {
            for (column, id) in texts[*text].iter().enumerate() {
                ids[[row, column]] = i32::try_from(*id).map_err(EncodeError::because)?;
                mask[[row, column]] = 1;
            }
        }
        let inputs = self.inputs.iter().map(|(id, input)| {
            let value: Value = match input {
                Input::Ids => ids.clone().into(),
                Input::Mask => mask.clone().into(),
                Input::Types => NdTensor::<i32, 2>::zeros(shape).into(),
            };
            (*id, value.into())
        });
        let options = RunOptions::default().with_thread_pool(Some(threads.clone()));
        let [output] =
            self.model.run_n(inputs.collect(), [self.output], Some(options)).map_err(EncodeError::because)?;
        let output = NdTensor::<f32, 3>::try_from(output).map_err(EncodeError::because)?;
        if output.shape() != [group.len(), longest, self.width] {
            let (found, width) = (output.shape(), self.width);
            return Err(EncodeError::because(format!(
                "the graph gives a tensor of {found:?}, not of {width} to a token"
            )));
        }
        for (row, text) in group.iter().enumerate() {
            let tokens: NdTensorView<f32, 2> = output.slice((row, ..texts[*text].len()));
            take(*text, &tokens.to_vec());
        }
        Ok(())
    }
}

/// How many of `order`, by length, run together.
fn group(order: &[usize], texts: &[&[u32]]) -> usize {
    let (mut tokens, mut count) = (0, 0);
    for text in order {
        let longest = texts[*text].len();
        tokens += longest;
        if count > 0 && longest * (count + 1) * PADDING.1 > tokens * PADDING.0 {
            break;
        }
        count += 1;
    }
    count
}
