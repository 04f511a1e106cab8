//! The name of an object, and of a range of them.

use std::fmt;

use crate::Error;

/// As in S3.
const KEY_BYTES_MAX: usize = 1_024;
/// What a space of keys may put before them.
const PREFIX_BYTES_MAX: usize = 64;

/// The name of an object in the bucket.
///
/// Invariant, established only by parsing: 1 to 1,024 bytes (and those of the space it lies in) of UTF-8 without control
/// characters, in components parted by `/`, none of them empty, `.` or `..`. So a key never ends
/// in `/`, and no key can climb out of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectKey(String);

impl ObjectKey {
    /// Takes a key as the caller wrote it, percent-decoded.
    pub(crate) fn parse(raw: &str) -> Result<Self, Error> {
        if raw.len() > KEY_BYTES_MAX {
            return Err(Error::InvalidKey { reason: "it is longer than 1024 bytes" });
        }
        Self::parse_any_length(raw)
    }

    /// A key that lies in the bucket; `None` for what nobody wrote through here.
    pub(crate) fn found(raw: &str) -> Option<Self> {
        Self::parse_any_length(raw).ok().filter(|key| key.0.len() <= KEY_BYTES_MAX + PREFIX_BYTES_MAX)
    }

    fn parse_any_length(raw: &str) -> Result<Self, Error> {
        let refuse = |reason: &'static str| Err(Error::InvalidKey { reason });
        if raw.is_empty() {
            return refuse("it is empty");
        }
        if raw.chars().any(char::is_control) {
            return refuse("it holds a control character");
        }
        if raw.starts_with('/') {
            return refuse("it starts with /");
        }
        for component in raw.split('/') {
            match component {
                "" => return refuse("it has an empty component"),
                "." | ".." => return refuse("it has a component . or .."),
                _ => {}
            }
        }
        Ok(ObjectKey(raw.to_owned()))
    }

    /// The same key below `prefix`, which is empty or whole components with a `/` behind.
    pub(crate) fn below(&self, prefix: &str) -> Self {
        ObjectKey(format!("{prefix}{}", self.0))
    }

    /// The inverse of [`ObjectKey::below`].
    pub(crate) fn relative_to(&self, prefix: &str) -> Self {
        ObjectKey(self.0.strip_prefix(prefix).unwrap_or(&self.0).to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the keys of a listing start with. Not a key: it may be empty and end anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyPrefix(String);

impl KeyPrefix {
    /// Any text that a key can start with; one that no key can start with lists nothing.
    pub(crate) fn parse(raw: &str) -> Result<Self, Error> {
        if raw.len() > KEY_BYTES_MAX {
            return Err(Error::InvalidArgument { reason: "prefix is longer than 1024 bytes".into() });
        }
        if raw.chars().any(char::is_control) {
            return Err(Error::InvalidArgument { reason: "prefix holds a control character".into() });
        }
        Ok(KeyPrefix(raw.to_owned()))
    }

    pub(crate) fn below(&self, prefix: &str) -> Self {
        KeyPrefix(format!("{prefix}{}", self.0))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether some key may start like this.
    pub(crate) fn is_possible(&self) -> bool {
        let Some((folders, _)) = self.0.rsplit_once('/') else { return true };
        folders.split('/').all(|component| !matches!(component, "" | "." | ".."))
    }

    /// Its whole components, with the last `/`; empty where there are none.
    pub(crate) fn folder(&self) -> &str {
        self.0.rfind('/').map_or("", |slash| &self.0[..=slash])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_issue_are_refused() {
        let long = "x".repeat(1_025);
        for raw in ["", "/a", "a//b", "a/", "a/./b", "..", "a/..", ".", "a\0b", "a\nb", "a\u{7f}", "a\u{85}b", &long] {
            assert!(matches!(ObjectKey::parse(raw), Err(Error::InvalidKey { .. })), "{raw:?}");
        }
        let longest = "x".repeat(1_024);
        for raw in ["a", "a/b", "...", ".a", "a+", "+", "%2F", "ü/日本 .txt", "a b", &longest] {
            assert_eq!(ObjectKey::parse(raw).unwrap().as_str(), raw);
        }
    }

    #[test]
    fn a_prefix_knows_its_folder() {
        for (raw, folder) in [("", ""), ("a", ""), ("a/", "a/"), ("a/b", "a/"), ("a/b/c", "a/b/")] {
            assert_eq!(KeyPrefix::parse(raw).unwrap().folder(), folder);
        }
        for raw in ["/", "/a", "a//b", "../x", "a/./"] {
            assert!(!KeyPrefix::parse(raw).unwrap().is_possible(), "{raw}");
        }
        assert!(KeyPrefix::parse("a/..").unwrap().is_possible(), "as `a/..b` starts like this");
    }
}
