//! What follows the first matrix of the feed-forward part.

use rten_simd::ops::{BitOps, FloatOps, NumOps};
use rten_simd::{Isa, SimdUnaryOp};
use rten_vecmath::ApproxGelu;

use super::panels::{Line, PANEL};
use crate::architecture::Activation;

/// From here on Φ is 0 or 1 in f32.
const END: f32 = 5.374_011_5;
/// Φ(x) = ½ + x P(x²) / Q(x²): a minimax fit of half of erf(x/√2) over ±[`END`], least powers first. Φ is within
/// 2.5e-7 in f32 arithmetic. One division and no exponential function take a third of the time of what
/// `rten-vecmath` computes, which has the same accuracy.
const P: [f32; 5] = [0.398_941_75, 0.054_123_934, 0.005_849_530_4, 0.000_364_447_48, 0.000_006_624_884_4];
const Q: [f32; 6] = [1.0, 0.302_326_68, 0.040_065_95, 0.002_996_35, 0.000_130_753_64, 0.000_000_554_027_5];

/// In place of each value.
#[inline(always)]
pub(super) fn activate<I: Isa>(isa: I, activation: Activation, lines: &mut [Line]) {
    let ops = isa.f32();
    for line in lines {
        for at in (0..PANEL).step_by(ops.len()) {
            let x = ops.load(&line.0[at..]);
            let activated = match activation {
                Activation::Gelu => gelu(isa, x),
                Activation::GeluTanh => ApproxGelu {}.eval(isa, x),
                Activation::Relu => ops.max(x, ops.zero()),
            };
            ops.store(activated, &mut line.0[at..]);
        }
    }
}

/// GELU (arXiv 1606.08415): x Φ(x), with Φ the normal distribution's.
#[inline(always)]
fn gelu<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let ops = isa.f32();
    let inner = ops.max(ops.min(x, ops.splat(END)), ops.splat(-END));
    let square = ops.mul(inner, inner);
    let off = ops.div(ops.mul(inner, polynomial(isa, square, &P)), polynomial(isa, square, &Q));
    ops.mul(x, ops.add(ops.splat(0.5), off))
}

/// By Horner's scheme.
#[inline(always)]
fn polynomial<I: Isa, const N: usize>(isa: I, x: I::F32, coefficients: &[f32; N]) -> I::F32 {
    let ops = isa.f32();
    let mut value = ops.splat(coefficients[N - 1]);
    for coefficient in coefficients[..N - 1].iter().rev() {
        value = ops.mul_add(value, x, ops.splat(*coefficient));
    }
    value
}

#[cfg(test)]
mod tests {
    use rten_simd::SimdOp;

    use super::*;
    use crate::bert::panels::Columns;

    struct Gelu<'a>(&'a mut [Line]);

    impl SimdOp for Gelu<'_> {
        type Output = ();

        #[inline(always)]
        fn eval<I: Isa>(self, isa: I) {
            activate(isa, Activation::Gelu, self.0);
        }
    }

    #[test]
    fn it_is_as_in_float64() {
        let mut rows: Vec<f32> = (-120_000..=120_000).map(|x| x as f32 / 10_000.0).collect();
        rows.extend([-f32::MAX, -1e9, -40.0, 40.0, 1e9, f32::MAX, f32::MIN_POSITIVE, -0.0]);
        let mut lines = Columns::one_group(rows.len()).lines(&rows);
        Gelu(&mut lines).dispatch();
        for (x, computed) in rows.into_iter().zip(lines.iter().flat_map(|line| line.0)) {
            let exact = f64::from(x) * normal(f64::from(x));
            let off = (f64::from(computed) - exact).abs();
            assert!(off <= 3e-7 * f64::from(x).abs().max(1.0), "gelu({x}) = {computed}, not {exact}");
        }
    }

    /// Φ by its power series (Marsaglia, 2004), and its ends.
    fn normal(x: f64) -> f64 {
        if x.abs() > 7.0 {
            return if x > 0.0 { 1.0 } else { 0.0 };
        }
        let (mut sum, mut term, mut n) = (x, x, 1.0);
        while sum + term != sum {
            n += 2.0;
            term *= x * x / n;
            sum += term;
        }
        0.5 + sum * (-0.5 * x * x - 0.918_938_533_204_672_8).exp()
    }
}
