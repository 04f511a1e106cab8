//! What is computed, and the key it is kept under.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::provider::Input;

/// A text's vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Embedding {
    /// Tokens of the text as the model reads it; an estimate where the provider counts whole batches.
    pub(crate) tokens: u32,
    /// All numbers are finite.
    pub(crate) vector: Arc<[f32]>,
}

/// SHA-256 over everything that makes a model's vectors what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

impl Fingerprint {
    /// Of parts that are told apart wherever one ends and the next begins.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Fingerprint(hash.finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Under which a vector is kept: equal keys mean equal vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Of the model as the request resolves to it, with the request's options: never what an upstream calls it.
    pub(crate) model: Fingerprint,
    /// SHA-256 of the text, or of the token ids as little-endian u32 (their `model` is another one).
    pub(crate) text: [u8; 32],
}

/// The second half of a [`Key`].
pub(crate) fn hash(input: &Input) -> [u8; 32] {
    match input {
        Input::Text(text) => Sha256::digest(text.as_bytes()).into(),
        Input::Tokens(ids) => {
            let mut hash = Sha256::new();
            ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
            hash.finalize().into()
        }
    }
}

/// Scales to unit length; a vector of nothing but zeros stays as it is.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Fingerprint::of(&[b"ab", b"c"]), Fingerprint::of(&[b"a", b"bc"]));
        assert_ne!(Fingerprint::of(&[b"ab"]), Fingerprint::of(&[b"ab", b""]));
    }

    #[test]
    fn lengths_become_one_without_overflow() {
        let mut vast = [f32::MAX, f32::MAX];
        normalize(&mut vast);
        assert!((vast[0] - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6, "{vast:?}");
        let mut none = [0.0, 0.0];
        normalize(&mut none);
        assert_eq!(none, [0.0, 0.0]);
    }
}
