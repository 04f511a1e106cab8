//! What is done to rows between the products, each in as few passes over memory as it can be.

use rayon::prelude::*;
use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp, SimdUnaryOp};
use rten_vecmath::ApproxGelu;

use super::Normal;
use super::gelu::gelu;
use crate::architecture::Activation;

/// Each of this pool's threads does its part of the rows, told the number of the first one.
pub(super) fn share_out(rows: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let part = (rows.len() / width).div_ceil(rayon::current_num_threads()).max(1);
    rows.par_chunks_mut(part * width).enumerate().for_each(|(number, rows)| work(number * part, rows));
}

/// As many values as a register has, or what is left of the slice, filled up with zeros.
#[inline(always)]
pub(super) fn load<O: BitOps<f32>>(ops: O, values: &[f32], at: usize) -> O::Simd {
    let values = &values[at..];
    if values.len() >= ops.len() { ops.load(values) } else { ops.load_pad(values).0 }
}

/// The other way round.
#[inline(always)]
pub(super) fn store<O: BitOps<f32>>(ops: O, value: O::Simd, values: &mut [f32], at: usize) {
    use rten_simd::Simd;
    let values = &mut values[at..];
    if values.len() >= ops.len() {
        ops.store(value, values);
    } else {
        values.iter_mut().zip(value.to_array()).for_each(|(to, from)| *to = from);
    }
}

/// `rows = activation(rows + bias)`, in each row.
pub(super) struct Activate<'a> {
    pub(super) rows: &'a mut [f32],
    pub(super) bias: &'a [f32],
    pub(super) activation: Activation,
}

impl Activate<'_> {
    #[inline(always)]
    fn map<I: Isa>(self, isa: I, activation: impl Fn(I::F32) -> I::F32) {
        let ops = isa.f32();
        for row in self.rows.chunks_exact_mut(self.bias.len()) {
            for at in (0..self.bias.len()).step_by(ops.len()) {
                let sum = ops.add(load(ops, row, at), load(ops, self.bias, at));
                store(ops, activation(sum), row, at);
            }
        }
    }
}

impl SimdOp for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        match self.activation {
            Activation::Gelu => self.map(
                isa,
                #[inline(always)]
                |x| gelu(isa, x),
            ),
            Activation::GeluTanh => self.map(
                isa,
                #[inline(always)]
                |x| ApproxGelu {}.eval(isa, x),
            ),
            Activation::Relu => {
                let ops = isa.f32();
                self.map(
                    isa,
                    #[inline(always)]
                    |x| ops.max(x, ops.zero()),
                );
            }
        }
    }
}

/// `rows = normal(rows + product + bias)`: the residual, and the layer normalisation behind it.
pub(super) struct NormaliseSum<'a> {
    pub(super) rows: &'a mut [f32],
    /// A product and its bias.
    pub(super) sums: Option<(&'a [f32], &'a [f32])>,
    pub(super) normal: &'a Normal,
}

impl SimdOp for NormaliseSum<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        let width = self.normal.scale.len();
        for (number, row) in self.rows.chunks_exact_mut(width).enumerate() {
            let mut sum = ops.zero();
            for at in (0..width).step_by(ops.len()) {
                let mut x = load(ops, row, at);
                if let Some((product, bias)) = self.sums {
                    let product = &product[number * width..(number + 1) * width];
                    x = ops.add(x, ops.add(load(ops, product, at), load(ops, bias, at)));
                    store(ops, x, row, at);
                }
                sum = ops.add(sum, x);
            }
            let mean = ops.sum(sum) / width as f32;
            let mut squares = 0.0;
            let (mut partial, mean_of_all) = (ops.zero(), ops.splat(mean));
            let whole = width - width % ops.len();
            for at in (0..whole).step_by(ops.len()) {
                let off = ops.sub(load(ops, row, at), mean_of_all);
                partial = ops.mul_add(off, off, partial);
            }
            for x in &row[whole..] {
                squares += (x - mean) * (x - mean);
            }
            squares += ops.sum(partial);
            let steepness = ops.splat(1.0 / (squares / width as f32 + self.normal.epsilon).sqrt());
            for at in (0..width).step_by(ops.len()) {
                let off = ops.mul(ops.sub(load(ops, row, at), mean_of_all), steepness);
                let x = ops.mul_add(off, load(ops, &self.normal.scale, at), load(ops, &self.normal.shift, at));
                store(ops, x, row, at);
            }
        }
    }
}
