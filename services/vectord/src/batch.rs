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
    /// Instead of a vector.
    pub(crate) text: Option<String>,
}

/// Texts whose vectors are still to be made, each of one of a list's entries.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    texts: Vec<String>,
    places: Vec<usize>,
}

impl Texts {
    /// The text of entry `at`.
    pub(crate) fn push(&mut self, at: usize, text: String) {
        self.texts.push(text);
        self.places.push(at);
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.texts)
    }

    /// The vectors of the texts that were taken, in their order, each with its entry.
    pub(crate) fn placed(self, vectors: Vec<Vector>) -> impl Iterator<Item = (usize, Vector)> {
        self.places.into_iter().zip(vectors)
    }
}

/// Items to add or update, valid, no id twice; of some the vectors are still texts.
#[derive(Debug)]
pub(crate) struct Draft {
    puts: Vec<Put>,
    texts: Texts,
}

/// Items to add or update: valid, no id twice.
#[derive(Debug)]
pub(crate) struct Batch(Vec<Put>);

impl Draft {
    /// # Errors
    /// What is wrong, with the position of the item; more items than `items_per_batch_max`.
    pub(crate) fn parse(items: Vec<NewItem>, settings: &Settings, config: &Config) -> Result<Self, Error> {
        items_within(items.len(), config)?;
        let mut puts = Vec::with_capacity(items.len());
        let mut texts = Texts::default();
        for (at, item) in items.into_iter().enumerate() {
            let (put, text) = put(item, settings, config).map_err(|error| error.within(&format!("items[{at}]")))?;
            puts.push(put);
            text.into_iter().for_each(|text| texts.push(at, text));
        }
        let mut seen = HashSet::with_capacity(puts.len());
        for (at, put) in puts.iter().enumerate() {
            if !seen.insert(put.id.as_str()) {
                return Err(Error::Invalid(format!("items[{at}].id: {:?} is in this batch already", put.id.as_str())));
            }
        }
        drop(seen);
        Ok(Draft { puts, texts })
    }

    pub(crate) fn take_texts(&mut self) -> Vec<String> {
        self.texts.take()
    }

    /// With the vectors of the texts that were taken, in their order.
    pub(crate) fn complete(mut self, vectors: Vec<Vector>) -> Batch {
        for (at, vector) in self.texts.placed(vectors) {
            self.puts[at].vector = Some(vector);
        }
        Batch(self.puts)
    }
}

impl Batch {
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

/// An item without the vector of its text, and the text.
///
/// # Errors
/// What is wrong with it, and with which field.
pub(crate) fn put(item: NewItem, settings: &Settings, config: &Config) -> Result<(Put, Option<String>), Error> {
    let id = ItemId::parse(item.id).map_err(|error| error.within(".id"))?;
    let vector = item.vector.map(|vector| self::vector(vector, settings).map_err(|error| error.within(".vector")));
    if let Some(metadata) = &item.metadata {
        metadata_within(metadata, config)?;
    }
    if let Some(words) = &item.text {
        if vector.is_some() {
            return Err(Error::Invalid(": both a vector and a text".into()));
        }
        text(words, settings, config).map_err(|error| error.within(".text"))?;
    }
    if vector.is_none() && item.text.is_none() && item.metadata.is_none() {
        return Err(Error::Invalid(": neither a vector nor a text nor metadata".into()));
    }
    Ok((Put { id, vector: vector.transpose()?, metadata: item.metadata }, item.text))
}

/// Whether a text can be embedded for an index.
///
/// # Errors
/// An index without a model; more than `text_bytes_max`.
pub(crate) fn text(text: &str, settings: &Settings, config: &Config) -> Result<(), Error> {
    if settings.model.is_none() {
        return Err(settings.takes_no_texts());
    }
    let (bytes, limit) = (text.len(), config.text_bytes_max);
    if bytes > limit {
        return Err(Error::Invalid(format!(": {bytes} bytes exceed {limit} (text_bytes_max)")));
    }
    Ok(())
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
    use crate::model::{Fingerprint, Model};
    use crate::name::IndexName;
    use crate::settings::{KnownModel, NewIndex, SettingsMax};

    fn settings(metric: Metric, model: Option<Model>) -> Settings {
        let named = NewIndex::named(IndexName::parse("workers").unwrap());
        let asked = NewIndex { dimension: Some(2), metric: Some(metric), ..named };
        let known = model.map(|model| KnownModel { model, dimension: 2 });
        Settings::new(asked, known, SettingsMax { dimension: 8_192, ef: 10_000 }, 0).unwrap()
    }

    fn model() -> Option<Model> {
        Some(Model { name: "m".into(), fingerprint: Fingerprint::new(&[1]) })
    }

    fn of_text(id: &str, text: &str) -> NewItem {
        NewItem { id: id.into(), text: Some(text.into()), ..NewItem::default() }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let config = Config { items_per_batch_max: 3, metadata_bytes_max: 10, ..Config::default() };
        let item = |id: &str, vector: Option<Vec<f32>>| NewItem { id: id.into(), vector, ..NewItem::default() };
        let good = || item("a", Some(vec![1.0, 2.0]));
        let long = json!({ "text": "0123456789" }).as_object().cloned();
        let cases = [
            (item("", Some(vec![1.0, 2.0])), "items[1].id: an id has 1 to 256 bytes, not 0"),
            (item("b", Some(vec![1.0])), "items[1].vector: 1 numbers, where the index workers has the dimension 2"),
            (item("b", Some(vec![1.0, f32::NAN])), "items[1].vector: component 1 is not a finite number"),
            (item("b", Some(vec![0.0, 0.0])), "items[1].vector: a zero vector has no direction, so no cosine distance"),
            (item("a", Some(vec![0.0, 1.0])), "items[1].id: \"a\" is in this batch already"),
            (item("b", None), "items[1]: neither a vector nor a text nor metadata"),
            (of_text("b", "welder"), "items[1].text: the index workers has no model, so it takes vectors and no texts"),
            (
                NewItem { metadata: long, ..item("b", Some(vec![0.0, 1.0])) },
                "items[1].metadata: 21 bytes exceed 10 (metadata_bytes_max)",
            ),
        ];
        for (bad, expected) in cases {
            let refused = Draft::parse(vec![good(), bad], &settings(Metric::Cosine, None), &config).unwrap_err();
            assert_eq!(refused.to_string(), expected);
        }
        let many = (0..4).map(|at| item(&at.to_string(), Some(vec![1.0, 2.0]))).collect();
        let refused = Draft::parse(many, &settings(Metric::L2, None), &config).unwrap_err();
        assert_eq!(refused.to_string(), "items: 4 exceed 3 (items_per_batch_max)");
        assert!(Draft::parse(vec![item("z", Some(vec![0.0, 0.0]))], &settings(Metric::L2, None), &config).is_ok());
    }

    #[test]
    fn texts_get_the_vectors_that_are_theirs() {
        let settings = settings(Metric::L2, model());
        let config = Config { text_bytes_max: 9, ..Config::default() };
        let items = vec![
            of_text("a", "welder"),
            NewItem { vector: Some(vec![1.0, 2.0]), text: None, ..of_text("b", "") },
            of_text("c", ""),
        ];
        let mut draft = Draft::parse(items, &settings, &config).unwrap();
        assert_eq!(draft.take_texts(), ["welder", ""]);
        let vector = |x: f32| Vector::parse(Metric::L2, vec![x, 0.0]).unwrap();
        let batch = draft.complete(vec![vector(7.0), vector(8.0)]);
        let firsts: Vec<_> = batch.0.iter().map(|put| put.vector.as_ref().unwrap().components()[0]).collect();
        assert_eq!((firsts, batch.vectors()), (vec![7.0, 1.0, 8.0], 3));
        for (bad, told) in [
            (of_text("a", "0123456789"), "items[0].text: 10 bytes exceed 9 (text_bytes_max)"),
            (NewItem { vector: Some(vec![1.0, 2.0]), ..of_text("a", "x") }, "items[0]: both a vector and a text"),
        ] {
            assert_eq!(Draft::parse(vec![bad], &settings, &config).unwrap_err().to_string(), told);
        }
    }
}
