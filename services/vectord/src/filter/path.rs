//! Where in an item's metadata a condition looks.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

/// Names a value in an item's metadata: `"city"`, or `"address.city"` for one in a nested object.
///
/// Invariant: not empty, at most [`BYTES_MAX`](Self::BYTES_MAX) bytes, and does not begin with `$`, which
/// operators begin with. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Path(Arc<str>);

impl Path {
    /// Longer paths are refused: a path is a key of the index and is repeated in messages.
    pub(crate) const BYTES_MAX: usize = 1_024;

    /// `None` where `raw` breaks the invariant.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        let fits = !raw.is_empty() && raw.len() <= Self::BYTES_MAX && !raw.starts_with('$');
        fits.then(|| Self(raw.into()))
    }

    /// The path as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The value this path names. In every object on the way the whole rest of the path is looked for as a
    /// key first, and hides what its dots would lead to; lists are not entered.
    pub(crate) fn find<'m>(&self, metadata: &'m Map<String, Value>) -> Option<&'m Value> {
        let (mut object, mut rest) = (metadata, &*self.0);
        loop {
            if let Some(value) = object.get(rest) {
                return Some(value);
            }
            let (key, inner) = rest.split_once('.')?;
            (object, rest) = (object.get(key)?.as_object()?, inner);
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
