//! What is computed, and the key it is kept under.

use std::sync::Arc;

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

/// Under which a vector is kept: equal keys mean equal vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Of the model as the request resolves to it, with the request's options: never what an upstream calls it.
    pub(crate) model: Fingerprint,
    /// SHA-256 of the text.
    pub(crate) text: [u8; 32],
}
