//! The JSON of `/v1/vectors`, **fixed** where DESIGN.md says so.

mod alias;
mod import;
mod index;
mod items;
mod search;

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::IntoParams;

pub(super) use alias::{Alias, AliasTarget, Aliases};
pub(super) use import::{BeginImport, Import, Imports};
pub(super) use index::{CreateIndex, Index, Indexes, ListedIndex};
pub(crate) use items::metadata;
pub(super) use items::{Add, Added, Count, Counted, Delete, Deleted, Item, Items, Scroll};
pub(crate) use search::K_DEFAULT;
pub(super) use search::{Search, SearchResults};

use crate::Error;
use crate::filter::Filter;

/// Which entries of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Entries at most.
    pub(super) limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

fn filter(raw: Option<Value>) -> Result<Option<Filter>, Error> {
    raw.map(|raw| Filter::parse(&raw)).transpose().map_err(Error::from)
}

/// A field that may be left out but not be null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn rfc3339(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    humantime_serde::re::humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
