//! What callers send, checked before anything is applied.

use std::collections::HashSet;

use ann::Vector;

use crate::Error;
use crate::config::Config;
use crate::item::{ItemId, Metadata, Op, Put};
use crate::settings::Settings;

/// An item as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewItem {
    pub(crate) id: String,
    pub(crate) vector: Option<Vec<f32>>,
    pub(crate) metadata: Option<Metadata>,
}

/// Items to add or update: valid, no id twice.
#[derive(Debug)]
pub(crate) struct Batch(Vec<Put>);

impl Batch {
    /// # Errors
    /// What is wrong, with the position of the item; more items than `items_per_batch_max`.
    pub(crate) fn parse(items: Vec<NewItem>, settings: &Settings, config: &Config) -> Result<Self, Error> {
        items_within(items.len(), config)?;
        let mut puts = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            puts.push(put(item, settings, config).map_err(|error| error.within(&format!("items[{at}]")))?);
        }
        let mut seen = HashSet::with_capacity(puts.len());
        for (at, put) in puts.iter().enumerate() {
            if !seen.insert(put.id.as_str()) {
                return Err(Error::Invalid(format!("items[{at}].id: {:?} is in this batch already", put.id.as_str())));
            }
        }
        drop(seen);
        Ok(Batch(puts))
    }

    /// Where an item without a vector stands: it must be stored already.
    pub(crate) fn without_vector(&self) -> impl Iterator<Item = (usize, &ItemId)> {
        self.0.iter().enumerate().filter(|(_, put)| put.vector.is_none()).map(|(at, put)| (at, &put.id))
    }

    /// How many vectors come with it.
    pub(crate) fn vectors(&self) -> usize {
        self.0.iter().filter(|put| put.vector.is_some()).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_ops(self) -> Vec<Op> {
        self.0.into_iter().map(Op::Put).collect()
    }
}

/// # Errors
/// More than `items_per_batch_max`.
pub(crate) fn items_within(count: usize, config: &Config) -> Result<(), Error> {
    let limit = config.items_per_batch_max;
    if count > limit {
        return Err(Error::TooMany { what: "items", count, limit, config_key: "items_per_batch_max" });
    }
    Ok(())
}

fn put(item: NewItem, settings: &Settings, config: &Config) -> Result<Put, Error> {
    let id = ItemId::parse(item.id).map_err(|error| error.within(".id"))?;
    let vector = item.vector.map(|vector| self::vector(vector, settings).map_err(|error| error.within(".vector")));
    if let Some(metadata) = &item.metadata {
        metadata_within(metadata, config)?;
    }
    if vector.is_none() && item.metadata.is_none() {
        return Err(Error::Invalid(": neither a vector nor metadata".into()));
    }
    Ok(Put { id, vector: vector.transpose()?, metadata: item.metadata })
}

fn metadata_within(metadata: &Metadata, config: &Config) -> Result<(), Error> {
    let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
    let limit = config.metadata_bytes_max;
    if bytes > limit {
        return Err(Error::Invalid(format!(".metadata: {bytes} bytes exceed {limit} (metadata_bytes_max)")));
    }
    Ok(())
}

/// A vector for an index.
///
/// # Errors
/// Another dimension; what the metric cannot measure.
pub(crate) fn vector(components: Vec<f32>, settings: &Settings) -> Result<Vector, Error> {
    if components.len() != settings.dimension {
        return Err(Error::Invalid(format!(
            ": {} numbers, where the index {} has the dimension {}",
            components.len(),
            settings.name,
            settings.dimension
        )));
    }
    Vector::parse(settings.metric, components).map_err(|error| Error::Invalid(format!(": {error}")))
}

impl Error {
    /// With the place of what is wrong before it.
    pub(crate) fn within(self, place: &str) -> Self {
        match self {
            Error::Invalid(what) if what.starts_with(['.', ':', '[']) => Error::Invalid(format!("{place}{what}")),
            Error::Invalid(what) => Error::Invalid(format!("{place}: {what}")),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use ann::Metric;
    use serde_json::json;

    use super::*;
    use crate::name::IndexName;
    use crate::settings::NewIndex;

    fn settings(metric: Metric) -> Settings {
        let name = IndexName::parse("workers").unwrap();
        let asked =
            NewIndex { name, dimension: 2, metric, m: None, ef_construction: None, ef_search: None, engine: None };
        Settings::new(asked, 8_192, 10_000, 0).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let config = Config { items_per_batch_max: 3, metadata_bytes_max: 10, ..Config::default() };
        let item = |id: &str, vector: Option<Vec<f32>>| NewItem { id: id.into(), vector, metadata: None };
        let good = || item("a", Some(vec![1.0, 2.0]));
        let long = json!({ "text": "0123456789" }).as_object().cloned();
        let cases = [
            (item("", Some(vec![1.0, 2.0])), "items[1].id: an id has 1 to 256 bytes, not 0"),
            (item("b", Some(vec![1.0])), "items[1].vector: 1 numbers, where the index workers has the dimension 2"),
            (item("b", Some(vec![1.0, f32::NAN])), "items[1].vector: component 1 is not a finite number"),
            (item("b", Some(vec![0.0, 0.0])), "items[1].vector: a zero vector has no direction, so no cosine distance"),
            (item("a", Some(vec![0.0, 1.0])), "items[1].id: \"a\" is in this batch already"),
            (item("b", None), "items[1]: neither a vector nor metadata"),
            (
                NewItem { metadata: long, ..item("b", Some(vec![0.0, 1.0])) },
                "items[1].metadata: 21 bytes exceed 10 (metadata_bytes_max)",
            ),
        ];
        for (bad, expected) in cases {
            let refused = Batch::parse(vec![good(), bad], &settings(Metric::Cosine), &config).unwrap_err();
            assert_eq!(refused.to_string(), expected);
        }
        let many = (0..4).map(|at| item(&at.to_string(), Some(vec![1.0, 2.0]))).collect();
        let refused = Batch::parse(many, &settings(Metric::L2), &config).unwrap_err();
        assert_eq!(refused.to_string(), "items: 4 exceed 3 (items_per_batch_max)");
        assert!(Batch::parse(vec![item("z", Some(vec![0.0, 0.0]))], &settings(Metric::L2), &config).is_ok());
    }
}
