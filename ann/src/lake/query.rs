//! Vectors as bytes, and distances from them.
//!
//! A vector is kept as signed bytes times a scale of its own, so that streams of inserts need no training
//! and outliers spoil no vector but their own. Under cosine the scale makes the bytes' vector one of unit
//! length again.

use crate::Metric;

/// What is kept beside a vector's bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shape {
    /// One step of the bytes, in units of the vector.
    pub(super) scale: f32,
    /// The squared length of what the bytes stand for.
    pub(super) square: f32,
}

impl Shape {
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.scale.to_bits()) << 32 | u64::from(self.square.to_bits())
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self { scale: f32::from_bits((bits >> 32) as u32), square: f32::from_bits(bits as u32) }
    }
}

/// A vector made ready to be compared with many: `distance = base + square × per_square
/// + scale × per_dot × (product of the bytes)`.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) codes: Vec<i8>,
    /// What stored bytes, being 128 too great, add to every product.
    excess: i32,
    base: f32,
    per_square: f32,
    per_dot: f32,
}

const CODE_MAX: f32 = 127.0;
/// Stored bytes are this much above the values that they stand for.
const OFFSET: u8 = 0x80;

impl Query {
    /// From a vector's components.
    pub(super) fn set(&mut self, metric: Metric, components: &[f32]) {
        self.codes.clear();
        let shape = quantise(metric, components, |code| self.codes.push(code));
        self.finish(metric, shape);
    }

    /// From stored bytes.
    pub(super) fn set_stored(&mut self, metric: Metric, stored: &[u8], shape: Shape) {
        self.codes.clear();
        self.codes.extend(stored.iter().map(|byte| (byte ^ OFFSET) as i8));
        self.finish(metric, shape);
    }

    fn finish(&mut self, metric: Metric, shape: Shape) {
        let sum: i32 = self.codes.iter().map(|code| i32::from(*code)).sum();
        self.excess = i32::from(OFFSET) * sum;
        (self.base, self.per_square, self.per_dot) = match metric {
            Metric::Cosine => (1.0, 0.0, -shape.scale),
            Metric::Dot => (0.0, 0.0, -shape.scale),
            Metric::L2 => (shape.square, 1.0, -2.0 * shape.scale),
        };
    }

    /// The distance to a stored vector, from the product of their bytes.
    #[inline]
    pub(super) fn distance(&self, product: i32, shape: Shape) -> f32 {
        let product = (product - self.excess) as f32;
        // Not `mul_add`: without the instruction at compile time that is a function call.
        self.base + self.per_square * shape.square + self.per_dot * shape.scale * product
    }
}

/// Writes a vector's stored bytes.
pub(super) fn store(metric: Metric, components: &[f32], stored: &mut [u8]) -> Shape {
    let mut bytes = stored.iter_mut();
    let shape = quantise(metric, components, |code| {
        if let Some(byte) = bytes.next() {
            *byte = code as u8 ^ OFFSET;
        }
    });
    // Padding stands for zeros.
    bytes.for_each(|byte| *byte = OFFSET);
    shape
}

fn quantise(metric: Metric, components: &[f32], mut put: impl FnMut(i8)) -> Shape {
    let largest = components.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let per_step = if largest > 0.0 { CODE_MAX / largest } else { 0.0 };
    // Components so small that the quotient overflows are as good as zero.
    let per_step = if per_step.is_finite() { per_step } else { 0.0 };
    let mut squares = 0_i64;
    for x in components {
        let code = (x * per_step).round_ties_even() as i8;
        squares += i64::from(code) * i64::from(code);
        put(code);
    }
    let scale = match metric {
        Metric::Cosine if squares > 0 => (1.0 / (squares as f64).sqrt()) as f32,
        Metric::Cosine | Metric::L2 | Metric::Dot => largest / CODE_MAX,
    };
    Shape { scale, square: (f64::from(scale) * f64::from(scale) * squares as f64) as f32 }
}
