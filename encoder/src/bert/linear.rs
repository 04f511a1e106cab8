//! A matrix, packed once for this processor's registers, and a bias.

use rten_gemm::{BiasVector, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_tensor::Matrix;

use crate::error::{EncodeError, OpenError};
use crate::weights::Weights;

pub(super) struct Linear {
    /// `from × to`.
    matrix: PackedBMatrix<f32>,
    bias: Vec<f32>,
}

impl Linear {
    /// One matrix, or several from the same input whose outputs are put side by side.
    pub(super) fn read(weights: &Weights<'_>, names: &[String], from: usize, to: usize) -> Result<Self, OpenError> {
        let (mut rows, mut bias) = (Vec::with_capacity(names.len() * from * to), Vec::with_capacity(names.len() * to));
        for name in names {
            rows.extend(weights.tensor(&format!("{name}.weight"), &[to, from])?);
            bias.extend(weights.tensor(&format!("{name}.bias"), &[to])?);
        }
        // Files have the matrix by output; a transposed view is `from × to`.
        let matrix =
            GemmExecutor::<f32>::new().prepack_b(Matrix::from_data([bias.len(), from], rows.as_slice()).transposed());
        Ok(Self { matrix, bias })
    }

    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// `input` (rows of `from`) times the matrix, without the bias: for who goes through all of it anyway.
    pub(super) fn product(&self, gemm: &GemmExecutor, input: &[f32], output: &mut Vec<f32>) -> Result<(), EncodeError> {
        self.multiply(gemm, input, output, GemmOptions::default())
    }

    /// `input` times the matrix, plus the bias.
    pub(super) fn apply(&self, gemm: &GemmExecutor, input: &[f32], output: &mut Vec<f32>) -> Result<(), EncodeError> {
        let bias = Some(BiasVector::Row(&self.bias));
        self.multiply(gemm, input, output, GemmOptions { bias, ..GemmOptions::default() })
    }

    fn multiply(
        &self,
        gemm: &GemmExecutor,
        input: &[f32],
        output: &mut Vec<f32>,
        options: GemmOptions<'_, f32, f32, f32>,
    ) -> Result<(), EncodeError> {
        let rows = input.len() / self.matrix.rows();
        output.resize(rows * self.matrix.cols(), 0.0);
        let input = GemmInputA::Unpacked(Matrix::from_data([rows, self.matrix.rows()], input));
        gemm.gemm(output, input, GemmInputB::Packed(&self.matrix), options).map_err(EncodeError::because)
    }
}
