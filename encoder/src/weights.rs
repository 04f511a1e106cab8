//! `model.safetensors`: tensors by name, as f32.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::error::OpenError;

/// Before the names in checkpoints that were saved with a head on top.
const PREFIXES: [&str; 3] = ["", "bert.", "roberta."];

pub(crate) struct Weights<'a> {
    file: &'a Path,
    tensors: SafeTensors<'a>,
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    pub(crate) fn parse(file: &'a Path, bytes: &'a [u8]) -> Result<Self, OpenError> {
        const ANCHOR: &str = "embeddings.word_embeddings.weight";
        let wrong = |reason: String| OpenError::Weights { file: file.to_owned(), tensor: ANCHOR.to_owned(), reason };
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| wrong(error.to_string()))?;
        let prefix = PREFIXES.into_iter().find(|prefix| tensors.tensor(&format!("{prefix}{ANCHOR}")).is_ok());
        let prefix = prefix.ok_or_else(|| wrong("is not there: not the weights of a BERT".to_owned()))?;
        Ok(Self { file, tensors, prefix })
    }

    /// A tensor of exactly this shape, row by row.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, OpenError> {
        let name = format!("{}{name}", self.prefix);
        let wrong = |reason: String| OpenError::Weights { file: self.file.to_owned(), tensor: name.clone(), reason };
        let view = self.tensors.tensor(&name).map_err(|error| wrong(error.to_string()))?;
        if view.shape() != shape {
            return Err(wrong(format!("has shape {:?}, and config.json asks for {shape:?}", view.shape())));
        }
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => words(view.data()).map(f32::from_le_bytes).collect(),
            Dtype::F16 => words(view.data()).map(|pair| f16_to_f32(u16::from_le_bytes(pair))).collect(),
            Dtype::BF16 => {
                words(view.data()).map(|pair| f32::from_bits(u32::from(u16::from_le_bytes(pair)) << 16)).collect()
            }
            other => return Err(wrong(format!("is of type {other:?}: only F32, F16 and BF16 are supported"))),
        };
        if values.iter().all(|x| x.is_finite()) {
            Ok(values)
        } else {
            Err(wrong("has values that are not finite".to_owned()))
        }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks().0.iter().copied()
}

/// IEEE 754 binary16; every one of them is a binary32.
fn f16_to_f32(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::f16_to_f32;

    #[test]
    fn half_floats_are_widened() {
        let known =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0), (0x3555, 0.333_251_95)];
        for (bits, value) in known {
            assert_eq!(f16_to_f32(bits), value, "{bits:#x}");
        }
        assert!(f16_to_f32(0x7c00).is_infinite());
        assert!(f16_to_f32(0x7e00).is_nan());
    }
}
