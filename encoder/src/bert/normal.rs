//! Layer normalisation (arXiv 1607.06450).

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::panels::{Columns, Line, PANEL};
use crate::error::OpenError;
use crate::weights::Weights;

/// What a layer normalisation scales and shifts by: a line for each panel.
pub(super) struct Normal {
    scale: Vec<Line>,
    shift: Vec<Line>,
    width: usize,
    epsilon: f32,
}

impl Normal {
    pub(super) fn read(weights: &Weights<'_>, name: &str, width: usize, epsilon: f32) -> Result<Self, OpenError> {
        let lines = |part: &str| {
            let values = weights.tensor(&format!("{name}.{part}"), &[width])?;
            Ok(Columns::one_group(width).lines(&values))
        };
        Ok(Self { scale: lines("weight")?, shift: lines("bias")?, width, epsilon })
    }

    /// Each of the rows in place.
    pub(super) fn apply(&self, lines: &mut [Line], rows: usize) {
        Normalise { normal: self, lines, rows }.dispatch();
    }
}

struct Normalise<'a> {
    normal: &'a Normal,
    lines: &'a mut [Line],
    rows: usize,
}

impl SimdOp for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { normal: Normal { scale, shift, width, epsilon }, lines, rows } = self;
        let ops = isa.f32();
        let registers = || (0..PANEL).step_by(ops.len());
        for row in 0..rows {
            let mut sum = ops.zero();
            for line in lines[row..].iter().step_by(rows) {
                for at in registers() {
                    sum = ops.add(sum, ops.load(&line.0[at..]));
                }
            }
            let mean = ops.sum(sum) / *width as f32;
            if width % PANEL != 0 {
                // What fills up the last panel is off by nothing; the scale and the shift make it zero again.
                let last = lines.len() - rows + row;
                lines[last].0[width % PANEL..].fill(mean);
            }
            let (mut squares, mean) = (ops.zero(), ops.splat(mean));
            for line in lines[row..].iter().step_by(rows) {
                for at in registers() {
                    let off = ops.sub(ops.load(&line.0[at..]), mean);
                    squares = ops.mul_add(off, off, squares);
                }
            }
            let steepness = ops.splat(1.0 / (ops.sum(squares) / *width as f32 + epsilon).sqrt());
            for (line, (scale, shift)) in lines[row..].iter_mut().step_by(rows).zip(scale.iter().zip(shift)) {
                for at in registers() {
                    let off = ops.mul(ops.sub(ops.load(&line.0[at..]), mean), steepness);
                    let value = ops.mul_add(off, ops.load(&scale.0[at..]), ops.load(&shift.0[at..]));
                    ops.store(value, &mut line.0[at..]);
                }
            }
        }
    }
}
