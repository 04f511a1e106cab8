//! What a vector must be before an engine sees it.

use crate::EngineError;
use crate::simd::Kernels;

/// How far apart two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `1 − cos(a, b)`.
    Cosine,
    /// `Σ (a − b)²`.
    L2,
    /// `−Σ a × b`.
    Dot,
}

impl Metric {
    /// The distance between two vectors of the same dimension.
    pub(crate) fn measure(self, kernels: &Kernels, a: &[f32], b: &[f32]) -> f32 {
        match self {
            // Rounding may bring a vector below zero from itself.
            Self::Cosine => (1.0 - kernels.dot(a, b)).max(0.0),
            Self::L2 => kernels.l2(a, b),
            // Not a negation: of zero that is another zero, which sorts before this one.
            Self::Dot => 0.0 - kernels.dot(a, b),
        }
    }
}

/// Why numbers are not a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// No components, or more than [`Vector::DIMENSION_MAX`].
    #[error("a vector has 1 to {} components, not {found}", Vector::DIMENSION_MAX)]
    Dimension {
        /// How many there were.
        found: usize,
    },
    /// NaN or an infinity.
    #[error("component {at} is not a finite number")]
    NotFinite {
        /// Which component.
        at: usize,
    },
    /// A direction is wanted and there is none.
    #[error("a zero vector has no direction, so no cosine distance")]
    Zero,
    /// Distances to it would not be finite.
    #[error("the vector is too long for a finite distance")]
    TooLong,
}

/// Finite numbers that a metric can measure; of unit length under [`Metric::Cosine`].
///
/// Invariant: established only by [`Vector::parse`]. Between two vectors of the same metric and
/// dimension every distance is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    metric: Metric,
    components: Box<[f32]>,
}

impl Vector {
    /// The most components that a vector may have.
    pub const DIMENSION_MAX: usize = 8192;
    /// The greatest squared length: four times it still is a finite f32.
    const SQUARE_MAX: f64 = 8e37;

    /// Checks, and under cosine normalises.
    ///
    /// # Errors
    /// What is wrong with the numbers.
    pub fn parse(metric: Metric, mut components: Vec<f32>) -> Result<Self, VectorError> {
        if components.is_empty() || components.len() > Self::DIMENSION_MAX {
            return Err(VectorError::Dimension { found: components.len() });
        }
        if let Some(at) = components.iter().position(|x| !x.is_finite()) {
            return Err(VectorError::NotFinite { at });
        }
        // In f64: the square of 1e38 is finite there, and that of 1e-40 is not zero.
        let square: f64 = components.iter().map(|x| f64::from(*x).powi(2)).sum();
        match metric {
            Metric::Cosine if square == 0.0 => return Err(VectorError::Zero),
            Metric::Cosine => {
                let length = square.sqrt();
                components.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
            }
            Metric::L2 | Metric::Dot if square > Self::SQUARE_MAX => return Err(VectorError::TooLong),
            Metric::L2 | Metric::Dot => {}
        }
        Ok(Self { metric, components: components.into() })
    }

    /// One that was parsed before and stored since: as it is, which under cosine is of unit length already.
    pub(crate) fn stored(metric: Metric, components: Vec<f32>) -> Option<Self> {
        let finite = components.iter().all(|x| x.is_finite());
        finite.then(|| Self { metric, components: components.into() })
    }

    /// Whether it fits an index.
    pub(crate) fn check(&self, metric: Metric, dimension: usize) -> Result<(), EngineError> {
        let found = self.components.len();
        if dimension != found {
            return Err(EngineError::Dimension { expected: dimension, found });
        }
        let (expected, found) = (metric, self.metric);
        if expected != found { Err(EngineError::Metric { expected, found }) } else { Ok(()) }
    }

    /// What it was checked for.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The numbers.
    pub fn components(&self) -> &[f32] {
        &self.components
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
            let parse = |components: &[f32]| Vector::parse(metric, components.to_vec()).map(|_| ());
            assert_eq!(parse(&[0.0, f32::NAN]), Err(VectorError::NotFinite { at: 1 }));
            assert_eq!(parse(&[f32::NEG_INFINITY]), Err(VectorError::NotFinite { at: 0 }));
            assert_eq!(parse(&[]), Err(VectorError::Dimension { found: 0 }));
            assert_eq!(parse(&vec![1.0; 8193]), Err(VectorError::Dimension { found: 8193 }));
        }
        assert_eq!(Vector::parse(Metric::Cosine, vec![0.0, -0.0]), Err(VectorError::Zero));
        assert!(Vector::parse(Metric::L2, vec![0.0, 0.0]).is_ok());
        assert_eq!(Vector::parse(Metric::L2, vec![1e38, 1e38]), Err(VectorError::TooLong));
        assert_eq!(Vector::parse(Metric::Dot, vec![-1e38]), Err(VectorError::TooLong));
    }

    #[test]
    fn cosine_normalises_the_huge_and_the_tiny() {
        for scale in [1e38_f32, 1.0, 1e-38, 1e-44] {
            let vector = Vector::parse(Metric::Cosine, vec![scale, -scale]).expect("has a direction");
            let half = std::f32::consts::FRAC_1_SQRT_2;
            assert!((vector.components()[0] - half).abs() < 1e-6 && (vector.components()[1] + half).abs() < 1e-6);
        }
    }
}
