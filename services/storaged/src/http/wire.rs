//! JSON of the REST routes.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::space::ListOrder;
use crate::store;

/// What a write made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stored {
    key: String,
    bytes: u64,
    /// As in the `ETag` header, with its quotes.
    etag: String,
}

impl Stored {
    pub(crate) fn new(key: String, stored: &store::Stored) -> Self {
        Stored { key, bytes: stored.bytes, etag: stored.etag.to_string() }
    }
}

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page {
    /// In byte order of their keys.
    objects: Vec<Entry>,
    /// What keys were rolled up to; each ends in the delimiter.
    prefixes: Vec<String>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// One object of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entry {
    key: String,
    bytes: u64,
    etag: String,
    /// RFC 3339, in UTC.
    modified: String,
}

impl From<store::ObjectMeta> for Entry {
    fn from(meta: store::ObjectMeta) -> Self {
        Entry {
            key: meta.key.to_string(),
            bytes: meta.bytes,
            etag: meta.etag.to_string(),
            modified: humantime_serde::re::humantime::format_rfc3339_millis(meta.modified).to_string(),
        }
    }
}

impl From<store::Page> for Page {
    fn from(page: store::Page) -> Self {
        Page {
            objects: page.objects.into_iter().map(Entry::from).collect(),
            prefixes: page.prefixes,
            next_cursor: page.next_cursor,
        }
    }
}

/// The query of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(crate) struct ListParameters {
    /// Only keys that start with this.
    prefix: String,
    /// `/` rolls up what lies in folders behind the prefix.
    delimiter: String,
    /// Objects and prefixes in a page.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl From<ListParameters> for ListOrder {
    fn from(parameters: ListParameters) -> Self {
        let ListParameters { prefix, delimiter, limit, cursor } = parameters;
        ListOrder { prefix, delimiter, limit, cursor: cursor.filter(|cursor| !cursor.is_empty()) }
    }
}
