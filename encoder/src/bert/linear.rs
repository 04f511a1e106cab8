//! A matrix and a bias.

use rayon::prelude::*;
use rten_simd::SimdOp;

use super::panels::{Columns, Line, PANEL};
use super::product::{Product, Then};
use crate::architecture::Activation;
use crate::error::OpenError;
use crate::weights::Weights;

pub(super) struct Linear {
    /// Panels, each with a line for each column of the input, those that fill up its panels too.
    matrix: Vec<Line>,
    depth: usize,
    /// A line for each panel.
    bias: Vec<Line>,
}

impl Linear {
    /// One matrix, or several from the same input whose outputs are put side by side.
    pub(super) fn read(weights: &Weights<'_>, names: &[String], from: Columns, to: Columns) -> Result<Self, OpenError> {
        let (inputs, outputs) = (from.groups * from.width, to.groups * to.width);
        let depth = from.panels() * PANEL;
        let mut matrix = vec![Line::ZERO; names.len() * to.panels() * depth];
        let mut bias = Vec::with_capacity(names.len() * to.panels());
        for (name, matrix) in names.iter().zip(matrix.chunks_exact_mut(to.panels() * depth)) {
            let values = weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
            for (row, (panel, at)) in values.chunks_exact(inputs).zip(to.places()) {
                for (value, (from_panel, from_at)) in row.iter().zip(from.places()) {
                    matrix[panel * depth + from_panel * PANEL + from_at].0[at] = *value;
                }
            }
            bias.extend(to.lines(&weights.tensor(&format!("{name}.bias"), &[outputs])?));
        }
        Ok(Self { matrix, depth, bias })
    }

    /// `output = input × matrix + bias`, of `rows` rows.
    pub(super) fn apply(&self, input: &[Line], rows: usize, output: &mut Vec<Line>) {
        self.share_out(input, rows, output, Then::Store);
    }

    /// The same, with an activation behind it.
    pub(super) fn activate(&self, input: &[Line], rows: usize, output: &mut Vec<Line>, activation: Activation) {
        self.share_out(input, rows, output, Then::Activate(activation));
    }

    /// `output += input × matrix + bias`.
    pub(super) fn add(&self, input: &[Line], rows: usize, output: &mut Vec<Line>) {
        self.share_out(input, rows, output, Then::Add);
    }

    /// A panel is one thread's.
    fn share_out(&self, input: &[Line], rows: usize, output: &mut Vec<Line>, then: Then) {
        output.resize(self.bias.len() * rows, Line::ZERO);
        let panels = output.par_chunks_mut(rows).zip(self.matrix.par_chunks(self.depth)).zip(&self.bias);
        panels.for_each(|((output, matrix), bias)| Product { input, rows, matrix, bias, output, then }.dispatch());
    }
}
