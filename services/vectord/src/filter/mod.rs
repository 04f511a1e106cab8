//! Filters over items' metadata: what they mean, and an index that answers them.
//!
//! Whoever comes from Pinecone, Chroma or MongoDB knows the language. A filter is a JSON object:
//!
//! ```json
//! {
//!   "city": "Chicago",
//!   "pay": {"$gte": 20, "$lt": 30},
//!   "$or": [{"skills": {"$in": ["forklift", "crane"]}}, {"$not": {"address.country": "US"}}]
//! }
//! ```
//!
//! Everything in one object has to hold: several paths, and several operators on a path. `{}` matches all.
//!
//! | written | matches items where |
//! |---|---|
//! | `{"p": v}`, `{"p": {"$eq": v}}` | the value at `p` is `v`; `v` is a text, number, boolean or null |
//! | `{"p": {"$ne": v}}` | `$eq` does not match: also items without `p` |
//! | `{"p": {"$gt": v}}`, `$gte`, `$lt`, `$lte` | the value compares so with `v`, a number or a text |
//! | `{"p": {"$in": [v, ...]}}` | `$eq` matches for one of the values; for none where there are none |
//! | `{"p": {"$nin": [v, ...]}}` | `$in` does not match: also items without `p` |
//! | `{"p": {"$exists": true}}` | there is a value at `p`, null too; with `false`: there is none |
//! | `{"p": {"$contains": v}}` | the value is a text with the text `v` in it, or a list with an element that equals `v` |
//! | `{"$and": [filter, ...]}` | every filter matches; at least one |
//! | `{"$or": [filter, ...]}` | a filter matches; at least one |
//! | `{"$not": filter}` | the filter does not match |
//!
//! **Paths.** `"address.city"` is the key `city` in the object at the key `address`. Keys may have dots of
//! their own: in each object on the way, a key that is the whole rest of the path wins over what the dots
//! lead to, whatever its value. `"address.city"` thus first means the key `address.city`, and only where
//! there is none, `city` in `address`. A key with dots is reached only as the end of a path. Paths do not
//! enter lists: `{"jobs.city": "Chicago"}` matches nothing in `{"jobs": [{"city": "Chicago"}]}`. Keys that
//! begin with `$`, and the empty key, are out of reach.
//!
//! **Lists.** `$eq`, `$in`, `$gt`, `$gte`, `$lt` and `$lte` match a list where they match any of its
//! elements, and `$ne` and `$nin` where they match none. Two conditions may be met by two elements:
//! `{"$gte": 20, "$lt": 30}` matches `[10, 40]`. Objects and lists within a list equal nothing.
//!
//! **Types.** Values of different types are never equal (`1`, `"1"` and `true` are three values) and never
//! compare: `{"$lt": 5}` matches no text. Numbers are compared exactly, whether they are written as integers
//! or not: 9007199254740993 is not 9007199254740992, and 1 is 1.0. Texts compare by code point, case and
//! accents included. `$eq: null` matches a null that is stored, not an item without the path. An object
//! matches `$exists` alone. `$contains: ""` matches every text.
//!
//! **Limits.** [`DEPTH_MAX`], [`NODES_MAX`], [`VALUES_MAX`] and [`Path::BYTES_MAX`]. What breaks one, like
//! everything that is no filter, is a [`FilterError`] that names the place in the JSON.
//!
//! [`Filter::matches`] is what a filter means, one item at a time. [`Fields`] answers for all items at once
//! and agrees with it.

mod condition;
mod draft;
mod error;
mod field;
mod fields;
mod gather;
mod parse;
mod path;
mod postings;
mod scalar;
mod suggest;
mod values;
mod view;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use condition::Node;

pub(crate) use draft::Draft;
pub(crate) use error::FilterError;
pub(crate) use fields::{Cover, Fields, Limits, NoRoom};
pub(crate) use path::Path;
pub(crate) use view::View;

/// Filters within filters, the outermost included.
pub(crate) const DEPTH_MAX: usize = 16;
/// Conditions, and filters within `$and`, `$or` and `$not`, altogether.
pub(crate) const NODES_MAX: usize = 1_000;
/// Values of one `$in` or `$nin`.
pub(crate) const VALUES_MAX: usize = 10_000;

/// A filter that is understood: see [the module](self) for what it means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    root: Node,
    /// Sorted, each once.
    paths: Vec<Path>,
}

impl Filter {
    /// # Errors
    /// What is no filter, or beyond the limits.
    pub(crate) fn parse(value: &Value) -> Result<Self, FilterError> {
        let root = parse::parse(value)?;
        let mut paths = Vec::new();
        root.paths_into(&mut paths);
        paths.sort_unstable();
        paths.dedup();
        Ok(Self { root, paths })
    }

    /// Whether an item with this metadata passes.
    pub(crate) fn matches(&self, metadata: &Map<String, Value>) -> bool {
        self.root.matches(metadata)
    }

    /// The paths that it looks at: sorted, each once.
    pub(crate) fn paths(&self) -> &[Path] {
        &self.paths
    }
}
