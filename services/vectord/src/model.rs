//! The model whose vectors an index holds.

use std::fmt;

use crate::Error;

/// A model of embedd, as it was when the index was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    /// As embedd calls it.
    pub(crate) name: String,
    pub(crate) fingerprint: Fingerprint,
}

/// What embedd knows a model's vectors by: those of the same fingerprint can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(Box<[u8]>);

impl Fingerprint {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Fingerprint(bytes.into())
    }

    /// The inverse of its `Display`.
    ///
    /// # Errors
    /// Text that is not hexadecimal.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let bytes = hex::decode(text).map_err(|_| Error::Content("its model's fingerprint is not hexadecimal"))?;
        Ok(Fingerprint(bytes.into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}
