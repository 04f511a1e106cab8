//! What an index is made with, and never changes.

use ann::{Metric, Vector};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::model::Model;
use crate::name::IndexName;
use crate::source::Source;

/// Which engine holds the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// Our own: see docs/adr/0030-lake-engine.md.
    #[default]
    Lake,
    /// The crate `hnsw_rs`.
    HnswRs,
}

/// The settings of one index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) name: IndexName,
    /// Tells two indexes of the same name, one after the other, apart.
    pub(crate) uuid: Uuid,
    pub(crate) dimension: usize,
    pub(crate) metric: Metric,
    pub(crate) m: usize,
    pub(crate) ef_construction: usize,
    /// Where a search names none.
    pub(crate) ef_search: usize,
    pub(crate) engine: EngineKind,
    pub(crate) created_ms: i64,
    /// Where texts become vectors.
    pub(crate) model: Option<Model>,
    /// Where all items come from; only with a model.
    pub(crate) source: Option<Source>,
}

/// What a caller asks for; what is left out has a default.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewIndex {
    pub(crate) name: IndexName,
    /// Left out: the model's.
    pub(crate) dimension: Option<usize>,
    /// Left out: cosine, where there is a model.
    pub(crate) metric: Option<Metric>,
    pub(crate) m: Option<usize>,
    pub(crate) ef_construction: Option<usize>,
    pub(crate) ef_search: Option<usize>,
    pub(crate) engine: Option<EngineKind>,
    /// embedd's name of it. Left out: none, or with a source embedd's default.
    pub(crate) model: Option<String>,
    pub(crate) source: Option<Source>,
}

impl NewIndex {
    /// With everything else left out.
    #[cfg(test)]
    pub(crate) fn named(name: IndexName) -> Self {
        let (dimension, metric) = (None, None);
        let (m, ef_construction, ef_search, engine) = (None, None, None, None);
        NewIndex { name, dimension, metric, m, ef_construction, ef_search, engine, model: None, source: None }
    }

    /// What embedd is to be asked for; empty is its default model.
    pub(crate) fn model_wanted(&self) -> Option<&str> {
        self.model.as_deref().or(self.source.as_ref().map(|_| ""))
    }
}

/// A model and how many numbers its vectors have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KnownModel {
    pub(crate) model: Model,
    pub(crate) dimension: usize,
}

/// The most that a service allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SettingsMax {
    pub(crate) dimension: usize,
    pub(crate) ef: usize,
}

impl Settings {
    const M: usize = 16;
    const EF_CONSTRUCTION: usize = 200;
    const EF_SEARCH: usize = 128;

    /// Why a text does not do.
    pub(crate) fn takes_no_texts(&self) -> Error {
        Error::Invalid(format!(": the index {} has no model, so it takes vectors and no texts", self.name))
    }

    /// # Errors
    /// A number out of its range; a dimension that is not the model's; what only a model makes up for.
    pub(crate) fn new(
        asked: NewIndex,
        model: Option<KnownModel>,
        max: SettingsMax,
        created_ms: i64,
    ) -> Result<Self, Error> {
        let within = |what: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                Ok(value)
            } else {
                Err(Error::Invalid(format!("{what}: must be {least} to {most}, not {value}")))
            }
        };
        let needed = |what: &str| Error::Invalid(format!("{what}: must be given where there is no model"));
        let dimension = match (asked.dimension, &model) {
            (Some(asked), Some(KnownModel { model, dimension })) if asked != *dimension => {
                let name = &model.name;
                return Err(Error::Invalid(format!("dimension: {asked}, where vectors of {name} have {dimension}")));
            }
            (_, Some(KnownModel { dimension, .. })) => *dimension,
            (asked, None) => asked.ok_or_else(|| needed("dimension"))?,
        };
        let metric = asked.metric.or(model.as_ref().map(|_| Metric::Cosine)).ok_or_else(|| needed("distance"))?;
        let ef_construction = asked.ef_construction.unwrap_or(Self::EF_CONSTRUCTION);
        Ok(Settings {
            name: asked.name,
            uuid: Uuid::now_v7(),
            dimension: within("dimension", dimension, 1, max.dimension.min(Vector::DIMENSION_MAX))?,
            metric,
            m: within("m", asked.m.unwrap_or(Self::M), 4, 128)?,
            ef_construction: within("ef_construction", ef_construction, 1, max.ef)?,
            ef_search: within("ef_search", asked.ef_search.unwrap_or(Self::EF_SEARCH), 1, max.ef)?,
            engine: asked.engine.unwrap_or_default(),
            created_ms,
            model: model.map(|known| known.model),
            source: asked.source,
        })
    }
}

/// How a score follows from a distance.
pub(crate) fn score(metric: Metric, distance: f32) -> f32 {
    match metric {
        Metric::Cosine => 1.0 - distance,
        // Not −0 for 0.
        Metric::Dot | Metric::L2 => 0.0 - distance,
    }
}

/// As the API writes it.
pub(crate) fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine => "cosine",
        Metric::L2 => "l2",
        Metric::Dot => "dot",
    }
}

/// The inverse of [`metric_name`].
pub(crate) fn metric_of(name: &str) -> Option<Metric> {
    [Metric::Cosine, Metric::L2, Metric::Dot].into_iter().find(|metric| metric_name(*metric) == name)
}
