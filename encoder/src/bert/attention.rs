//! softmax(Q Kᵀ / √d) V of one text, one head after another, in a memory that stays in the first cache.

use std::ops::Range;

use rayon::prelude::*;
use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp, SimdUnaryOp};
use rten_vecmath::Exp;

use super::rows::{load, store};
use crate::architecture::Architecture;

/// Queries that are worked on together: as many chains of additions as the processor keeps busy.
const QUERIES: usize = 4;

#[derive(Default)]
pub(super) struct Scratch {
    /// Keys of one head, by component: `d × padded`.
    keys: Vec<f32>,
    /// What some queries say to all keys: `QUERIES × padded`.
    scores: Vec<f32>,
}

/// The context of all tokens of all texts, `T × H`, from their projections, `T × 3 H`. Each of this pool's
/// threads does its part of the tokens.
pub(super) fn attend(
    texts: &[&[u32]],
    projected: &[f32],
    context: &mut [f32],
    sizes: &Architecture,
    scratches: &mut Vec<Scratch>,
) {
    let &Architecture { hidden, heads, .. } = sizes;
    let threads = rayon::current_num_threads();
    scratches.resize_with(threads, Scratch::default);
    let part = (context.len() / hidden).div_ceil(threads).next_multiple_of(QUERIES);
    let parts = context.par_chunks_mut(part * hidden).zip(scratches).enumerate();
    parts.for_each(|(number, (mut context, scratch))| {
        let mut start = 0;
        for text in texts {
            let (end, own) = (start + text.len(), number * part..(number + 1) * part);
            let queries = own.start.max(start)..own.end.min(end);
            if !queries.is_empty() {
                let (context_of_text, behind) = context.split_at_mut(queries.len() * hidden);
                context = behind;
                let projected = &projected[start * 3 * hidden..end * 3 * hidden];
                let queries = queries.start - start..queries.end - start;
                Attention { projected, queries, context: context_of_text, hidden, heads, scratch }.dispatch();
            }
            start = end;
        }
    });
}

struct Attention<'a> {
    /// `n × 3 H`: queries, keys and values of each token.
    projected: &'a [f32],
    /// The tokens whose context is wanted.
    queries: Range<usize>,
    /// A row of `H` for each of them.
    context: &'a mut [f32],
    hidden: usize,
    heads: usize,
    scratch: &'a mut Scratch,
}

/// Where a head's parts lie.
#[derive(Clone, Copy)]
struct Head {
    hidden: usize,
    /// The first component of the head, and how many it has.
    first: usize,
    width: usize,
    tokens: usize,
    padded: usize,
}

impl SimdOp for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { projected, queries, context, hidden, heads, scratch: Scratch { keys, scores } } = self;
        let tokens = projected.len() / (3 * hidden);
        let (width, padded) = (hidden / heads, tokens.next_multiple_of(isa.f32().len()));
        keys.resize(width * padded, 0.0);
        scores.resize(QUERIES * padded, 0.0);
        for head in 0..heads {
            let head = Head { hidden, first: head * width, width, tokens, padded };
            head.transpose_keys(projected, keys);
            let mut rows = context.chunks_exact_mut(QUERIES * hidden);
            let mut query = queries.start;
            for rows in &mut rows {
                head.attend::<I, QUERIES>(isa, query, projected, keys, scores, rows);
                query += QUERIES;
            }
            for row in rows.into_remainder().chunks_exact_mut(hidden) {
                head.attend::<I, 1>(isa, query, projected, keys, scores, row);
                query += 1;
            }
        }
    }
}

impl Head {
    /// With 1/√d in it, which costs a multiplication per component here and one per score there.
    #[inline(always)]
    fn transpose_keys(self, projected: &[f32], keys: &mut [f32]) {
        let scale = 1.0 / (self.width as f32).sqrt();
        for (token, row) in projected.chunks_exact(3 * self.hidden).enumerate() {
            let key = &row[self.hidden + self.first..][..self.width];
            for (component, column) in key.iter().zip(keys.chunks_exact_mut(self.padded)) {
                column[token] = component * scale;
            }
        }
    }

    /// The context, `N × H`, of `N` queries from `first` on.
    #[inline(always)]
    fn attend<I: Isa, const N: usize>(
        self,
        isa: I,
        first: usize,
        projected: &[f32],
        keys: &[f32],
        scores: &mut [f32],
        context: &mut [f32],
    ) {
        let ops = isa.f32();
        let row = |token: usize, part: usize| &projected[(token * 3 + part) * self.hidden + self.first..][..self.width];
        let queries: [&[f32]; N] = std::array::from_fn(|query| row(first + query, 0));
        for at in (0..self.padded).step_by(ops.len()) {
            let mut sums = [ops.zero(); N];
            for (component, column) in keys.chunks_exact(self.padded).enumerate() {
                let keys = ops.load(&column[at..]);
                for (sum, query) in sums.iter_mut().zip(queries) {
                    *sum = ops.mul_add(ops.splat(query[component]), keys, *sum);
                }
            }
            for (query, sum) in sums.into_iter().enumerate() {
                ops.store(sum, &mut scores[query * self.padded + at..]);
            }
        }
        let mut shares = [ops.zero(); N];
        for (scores, share) in scores.chunks_exact_mut(self.padded).zip(&mut shares) {
            *share = ops.splat(1.0 / self.exponents(isa, scores));
        }
        for at in (0..self.width).step_by(ops.len()) {
            let mut sums = [ops.zero(); N];
            for token in 0..self.tokens {
                let value = load(ops, row(token, 2), at);
                for (query, sum) in sums.iter_mut().enumerate() {
                    *sum = ops.mul_add(ops.splat(scores[query * self.padded + token]), value, *sum);
                }
            }
            for (query, (sum, share)) in sums.into_iter().zip(shares).enumerate() {
                let row = &mut context[query * self.hidden + self.first..][..self.width];
                store(ops, ops.mul(sum, share), row, at);
            }
        }
    }

    /// exp(score - greatest) in place of each score; their sum.
    #[inline(always)]
    fn exponents<I: Isa>(self, isa: I, scores: &mut [f32]) -> f32 {
        let ops = isa.f32();
        // Behind the last token are zeros, which must not count.
        scores[self.tokens..].fill(f32::NEG_INFINITY);
        let mut greatest = ops.splat(f32::NEG_INFINITY);
        for at in (0..self.padded).step_by(ops.len()) {
            greatest = ops.max(greatest, ops.load(&scores[at..]));
        }
        let greatest = ops.splat(greatest.to_array().into_iter().fold(f32::NEG_INFINITY, f32::max));
        let mut sum = ops.zero();
        for at in (0..self.padded).step_by(ops.len()) {
            let exponent = Exp {}.eval(isa, ops.sub(ops.load(&scores[at..]), greatest));
            ops.store(exponent, &mut scores[at..]);
            sum = ops.add(sum, exponent);
        }
        ops.sum(sum)
    }
}
