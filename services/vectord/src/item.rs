//! Items: what a caller stores, checked.

use ann::Vector;
use serde_json::{Map, Value};
use triomphe::ThinArc;

use crate::Error;

/// What a caller says of an item besides its vector.
pub(crate) type Metadata = Map<String, Value>;

/// What a caller knows an item by.
///
/// Invariant: 1 to 256 bytes, established only by [`ItemId::parse`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ItemId(Box<str>);

impl ItemId {
    /// The longest id, in bytes.
    pub(crate) const BYTES_MAX: usize = 256;

    pub(crate) fn parse(raw: String) -> Result<Self, Error> {
        if (1..=Self::BYTES_MAX).contains(&raw.len()) {
            Ok(Self(raw.into()))
        } else {
            Err(Error::Invalid(format!("an id has 1 to {} bytes, not {}", Self::BYTES_MAX, raw.len())))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An upsert of one item. What is left out stays as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Put {
    pub(crate) id: ItemId,
    /// Left out only where the item is there.
    pub(crate) vector: Option<Vector>,
    /// Left out it stays; an empty one clears it.
    pub(crate) metadata: Option<Metadata>,
}

/// A change of one item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    Put(Put),
    Delete(ItemId),
}

/// An item's id and metadata as they are kept: one allocation, shared with whoever reads it.
#[derive(Clone)]
pub(crate) struct Record(ThinArc<IdBytes, u8>);

/// How many of a record's bytes are the id; the rest is the metadata's JSON, none for `{}`.
type IdBytes = u16;

impl Record {
    pub(crate) fn new(id: &str, metadata: &Metadata) -> Self {
        let json = if metadata.is_empty() { String::new() } else { Value::Object(metadata.clone()).to_string() };
        Self::from_parts(id, &json)
    }

    /// `json` is an object's text, or empty.
    pub(crate) fn from_parts(id: &str, json: &str) -> Self {
        let bytes = Chained { first: id.as_bytes(), second: json.as_bytes() };
        Self(ThinArc::from_header_and_iter(id.len() as IdBytes, bytes))
    }

    pub(crate) fn from_thin(thin: ThinArc<IdBytes, u8>) -> Self {
        Self(thin)
    }

    pub(crate) fn into_thin(self) -> ThinArc<IdBytes, u8> {
        self.0
    }

    pub(crate) fn id(&self) -> &str {
        text(&self.0.slice[..usize::from(self.0.header.header)])
    }

    /// Empty where there is none.
    pub(crate) fn json(&self) -> &str {
        text(&self.0.slice[usize::from(self.0.header.header)..])
    }

    /// The metadata's JSON, `{}` where there is none.
    pub(crate) fn metadata_json(&self) -> &str {
        match self.json() {
            "" => "{}",
            json => json,
        }
    }

    pub(crate) fn metadata(&self) -> Metadata {
        serde_json::from_str(self.metadata_json()).unwrap_or_default()
    }

    /// With the allocator's share.
    pub(crate) fn memory_bytes(&self) -> usize {
        // Count, header and length, then the bytes, in the allocator's steps.
        (size_of::<usize>() * 3 + self.0.slice.len()).next_multiple_of(16) + 8
    }
}

/// Two pieces as one iterator of known length, as the allocation wants it.
struct Chained<'a> {
    first: &'a [u8],
    second: &'a [u8],
}

impl Iterator for Chained<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let from = if self.first.is_empty() { &mut self.second } else { &mut self.first };
        from.split_off_first().copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.first.len() + self.second.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Chained<'_> {}

/// The bytes came from a `str`, so the other case does not arise.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_gives_back_what_it_was_made_of() {
        let Value::Object(metadata) = json!({ "role": "Schweißer", "pay": 21.5, "skills": ["a", "b"] }) else {
            panic!()
        };
        let record = Record::new("w-042é", &metadata);
        assert_eq!((record.id(), record.metadata()), ("w-042é", metadata));
        let bare = Record::new("x", &Metadata::new());
        assert_eq!((bare.id(), bare.metadata_json()), ("x", "{}"));
    }

    #[test]
    fn ids_have_1_to_256_bytes() {
        assert!(ItemId::parse("é".repeat(128)).is_ok());
        for bad in [String::new(), "é".repeat(128) + "x"] {
            assert!(ItemId::parse(bad).is_err());
        }
    }
}
