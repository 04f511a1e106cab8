//! What an index, or an alias of one, is called.

use std::fmt;

use crate::Error;

/// The name of an index or alias: also the name of its folder.
///
/// Invariant: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`, established only by [`IndexName::parse`], so that it can
/// stand in a path and in an object key as it is, and is never a dot segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct IndexName(String);

impl IndexName {
    /// The longest name, in bytes.
    const BYTES_MAX: usize = 128;

    pub(crate) fn parse(raw: &str) -> Result<Self, Error> {
        let word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
        let starts_well = raw.bytes().next().is_some_and(word);
        let goes_on_well = raw.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if starts_well && goes_on_well && raw.len() <= Self::BYTES_MAX {
            Ok(Self(raw.to_owned()))
        } else {
            Err(Error::InvalidName { raw: raw.chars().take(Self::BYTES_MAX).collect() })
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_paths() {
        for good in ["workers_idx", "a", "Workers-2026.11", "0", &"x".repeat(128)] {
            assert_eq!(IndexName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".hidden", "-x", "a/b", "a b", "é", "a\0", &"x".repeat(129)] {
            assert!(IndexName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
