//! softmax(Q Kᵀ / √d) V of one text, one head after another, in a memory that stays in the first cache.

use std::ops::Range;

use rayon::prelude::*;
use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp, SimdUnaryOp};
use rten_vecmath::Exp;

use super::panels::{Columns, Line, PANEL};
use super::product::{Product, TILE_ROWS, Then};

#[derive(Default)]
pub(super) struct Scratch {
    /// Keys of one head, transposed: a panel for each [`PANEL`] of them, with a line for each component.
    keys: Vec<Line>,
    /// What some queries say to all keys: a panel for each [`PANEL`] of them, with a line for each query.
    scores: Vec<Line>,
}

/// The context of all tokens of all texts from their queries, keys and values, which each have the columns of
/// `heads`, as the context has. Each of this pool's threads does its part of the heads.
pub(super) fn attend<'a>(
    texts: &[&[u32]],
    projected: &'a [Line],
    heads: Columns,
    context: &mut Vec<Line>,
    scratches: &mut Vec<Scratch>,
) {
    context.resize(projected.len() / 3, Line::ZERO);
    let threads = rayon::current_num_threads();
    scratches.resize_with(threads, Scratch::default);
    let rows = context.len() / heads.panels();
    let lines_of_head = context.len() / heads.groups;
    let part = heads.groups.div_ceil(threads);
    let (queries, keys_and_values) = projected.split_at(context.len());
    let (keys, values) = keys_and_values.split_at(context.len());
    let parts = context.par_chunks_mut(part * lines_of_head).zip(scratches).enumerate();
    parts.for_each(|(number, (context, scratch))| {
        for (head, context) in context.chunks_exact_mut(lines_of_head).enumerate() {
            let own = |lines: &'a [Line]| &lines[(number * part + head) * lines_of_head..][..lines_of_head];
            let head = Head { queries: own(queries), keys: own(keys), values: own(values), rows, width: heads.width };
            let mut start = 0;
            for text in texts {
                head.attend(start..start + text.len(), context, scratch);
                start += text.len();
            }
        }
    });
}

/// What a head sees of all texts, each in panels of `rows` lines.
struct Head<'a> {
    queries: &'a [Line],
    keys: &'a [Line],
    values: &'a [Line],
    rows: usize,
    /// Its components.
    width: usize,
}

impl Head<'_> {
    /// The context of the rows of one text.
    fn attend(&self, text: Range<usize>, context: &mut [Line], scratch: &mut Scratch) {
        let (rows, tokens) = (self.rows, text.len());
        self.transpose_keys(&text, &mut scratch.keys);
        let depth = self.keys.len() / rows * PANEL;
        let most = tokens.div_ceil(tokens.div_ceil(TILE_ROWS));
        for first in text.clone().step_by(most) {
            let queries = most.min(text.end - first);
            scratch.scores.resize(tokens.div_ceil(PANEL) * queries, Line::ZERO);
            let scores = scratch.scores.chunks_exact_mut(queries);
            for (output, matrix) in scores.zip(scratch.keys.chunks_exact(depth)) {
                let input = &self.queries[first..];
                Product { input, rows, matrix, bias: &Line::ZERO, output, then: Then::Store }.dispatch();
            }
            Softmax { scores: &mut scratch.scores, rows: queries, tokens }.dispatch();
            for (output, values) in context.chunks_exact_mut(rows).zip(self.values.chunks_exact(rows)) {
                let (output, matrix) = (&mut output[first..][..queries], &values[text.clone()]);
                let (input, rows) = (&scratch.scores, queries);
                Product { input, rows, matrix, bias: &Line::ZERO, output, then: Then::Store }.dispatch();
            }
        }
    }

    /// With 1/√d in it, which costs a multiplication per component here and one per score there.
    fn transpose_keys(&self, text: &Range<usize>, transposed: &mut Vec<Line>) {
        let scale = 1.0 / (self.width as f32).sqrt();
        let depth = self.keys.len() / self.rows * PANEL;
        transposed.resize(text.len().div_ceil(PANEL) * depth, Line::ZERO);
        for (keys, first) in self.keys.chunks_exact(self.rows).zip((0..depth).step_by(PANEL)) {
            for (token, key) in keys[text.clone()].iter().enumerate() {
                let columns = &mut transposed[token / PANEL * depth + first..][..PANEL];
                for (column, component) in columns.iter_mut().zip(key.0) {
                    column.0[token % PANEL] = component * scale;
                }
            }
        }
    }
}

/// The shares of the first `tokens` columns of each row.
struct Softmax<'a> {
    scores: &'a mut [Line],
    rows: usize,
    tokens: usize,
}

impl SimdOp for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { scores, rows, tokens } = self;
        let ops = isa.f32();
        let registers = || (0..PANEL).step_by(ops.len());
        let last = scores.len() - rows;
        for row in 0..rows {
            if tokens % PANEL != 0 {
                scores[last + row].0[tokens % PANEL..].fill(f32::NEG_INFINITY);
            }
            let mut greatest = ops.splat(f32::NEG_INFINITY);
            for line in scores[row..].iter().step_by(rows) {
                for at in registers() {
                    greatest = ops.max(greatest, ops.load(&line.0[at..]));
                }
            }
            let greatest = ops.splat(greatest.to_array().into_iter().fold(f32::NEG_INFINITY, f32::max));
            let mut sum = ops.zero();
            for line in scores[row..].iter_mut().step_by(rows) {
                for at in registers() {
                    let exponent = Exp {}.eval(isa, ops.sub(ops.load(&line.0[at..]), greatest));
                    ops.store(exponent, &mut line.0[at..]);
                    sum = ops.add(sum, exponent);
                }
            }
            let share = ops.splat(1.0 / ops.sum(sum));
            for line in scores[row..].iter_mut().step_by(rows) {
                for at in registers() {
                    ops.store(ops.mul(ops.load(&line.0[at..]), share), &mut line.0[at..]);
                }
            }
        }
    }
}
