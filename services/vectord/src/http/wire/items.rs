use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{filter, present};
use crate::Error;
use crate::batch;
use crate::http::place;
use crate::indexes::{NewScroll, Which};
use crate::item::Metadata;
use crate::store::Applied;

/// Items to add or update.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Add {
    items: Vec<NewItem>,
}

/// An item to add or update.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewItem {
    /// 1 to 256 bytes.
    id: String,
    /// Left out, and without a text: the stored one stays; only for items that are there.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    vector: Option<Vec<f32>>,
    /// What the vector is made of, in place of a vector: where the index has a model.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    text: Option<String>,
    /// Left out: what is stored stays; `{}` or null clears it.
    #[serde(default, deserialize_with = "cleared_by_null")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

fn cleared_by_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Metadata>, D::Error> {
    Option::<Metadata>::deserialize(deserializer).map(|metadata| Some(metadata.unwrap_or_default()))
}

/// From JSON text as it comes with Arrow and gRPC: an object, or null for none.
///
/// # Errors
/// Anything else.
pub(crate) fn metadata(text: &str) -> Result<Metadata, Error> {
    let parsed: Option<Metadata> = serde_json::from_str(text)
        .map_err(|error| Error::Invalid(format!("not the text of a JSON object: {error}")))?;
    Ok(parsed.unwrap_or_default())
}

impl From<Add> for Vec<batch::NewItem> {
    fn from(body: Add) -> Self {
        let item = |NewItem { id, vector, text, metadata }| batch::NewItem { id, vector, metadata, text };
        body.items.into_iter().map(item).collect()
    }
}

/// What an add came to.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Added {
    /// Items that were not there.
    added: usize,
    /// Items that were there.
    updated: usize,
}

impl From<Applied> for Added {
    fn from(applied: Applied) -> Self {
        Added { added: applied.added, updated: applied.updated }
    }
}

/// Which items to delete: `ids` or `filter`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Delete {
    ids: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
}

impl TryFrom<Delete> for Which {
    type Error = Error;

    fn try_from(body: Delete) -> Result<Self, Error> {
        match (body.ids, filter(body.filter)?) {
            (Some(ids), None) => Ok(Which::Ids(ids)),
            (None, Some(filter)) => Ok(Which::Matching(filter)),
            _ => Err(Error::Invalid("exactly one of ids and filter is needed".into())),
        }
    }
}

/// What a delete came to.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Deleted {
    /// Items that were there.
    pub(in crate::http) deleted: usize,
}

/// Which page of which items.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Scroll {
    /// Items at most.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// False where it is left out.
    with_vector: Option<bool>,
}

impl TryFrom<Scroll> for NewScroll {
    type Error = Error;

    fn try_from(body: Scroll) -> Result<Self, Error> {
        Ok(NewScroll {
            limit: body.limit.unwrap_or(0),
            cursor: body.cursor.as_deref().map(place).transpose()?,
            filter: filter(body.filter)?,
            with_vector: body.with_vector.unwrap_or(false),
        })
    }
}

/// A stored item.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct Item {
    id: String,
    /// Of unit length under cosine. Left out of a scroll that does not ask for it.
    vector: Option<Vec<f32>>,
    #[schema(value_type = Object)]
    metadata: Value,
}

/// A page of items.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct Items {
    items: Vec<Item>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// Which items to count.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Count {
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
}

impl Count {
    pub(in crate::http) fn filter(self) -> Result<Option<crate::filter::Filter>, Error> {
        filter(self.filter)
    }
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Counted {
    pub(in crate::http) count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(json: &str) -> Result<Vec<batch::NewItem>, String> {
        let parsed: Result<Add, _> = crate::http::body::parse(json.as_bytes());
        parsed.map(Vec::from).map_err(|problem| problem.detail)
    }

    #[test]
    fn left_out_is_not_null() {
        let parsed = items(
            r#"{"items":[{"id":"a","vector":[1,2.5]},{"id":"b","metadata":{}},{"id":"c","metadata":null,"vector":[]}]}"#,
        );
        let parsed = parsed.unwrap();
        assert_eq!((parsed[0].vector.as_deref(), &parsed[0].metadata), (Some(&[1.0, 2.5][..]), &None));
        assert_eq!((&parsed[1].vector, &parsed[1].metadata), (&None, &Some(Metadata::new())));
        assert_eq!((parsed[2].vector.as_deref(), &parsed[2].metadata), (Some(&[][..]), &Some(Metadata::new())));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (json, place) in [
            (r#"{"items":[{"id":"a"},{"id":7}]}"#, "items[1].id: "),
            (r#"{"items":[{"id":"a","vector":[1,"2"]}]}"#, "items[0].vector[1]: "),
            (r#"{"items":[{"id":"a","vector":[1,1e999]}]}"#, "items[0].vector[1]: "),
            (r#"{"items":[{"id":"a","vector":null}]}"#, "items[0].vector: "),
            (r#"{"items":[{"id":"a","vector":[NaN]}]}"#, "items[0].vector[0]: "),
            (r#"{"items":[{"id":"a","metadata":[]}]}"#, "items[0].metadata: "),
            (r#"{"items":[{"id":"a","text":null}]}"#, "items[0].text: "),
            (r#"{"items":[{"id":"a","meta":{}}]}"#, "items[0].meta: "),
            (r#"{"items":[{"vector":[1]}]}"#, "items[0]: missing field `id`"),
            (r#"{"item":[]}"#, "item: unknown field"),
            (r#"{"items":[]} {}"#, "trailing characters"),
            ("", "EOF"),
        ] {
            let told = items(json).unwrap_err();
            assert!(told.starts_with(place), "{json}: {told}");
        }
    }
}
