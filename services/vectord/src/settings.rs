//! What an index is made with, and never changes.

use ann::{Metric, Vector};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::name::IndexName;

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
}

/// What a caller asks for; what is left out has a default.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewIndex {
    pub(crate) name: IndexName,
    pub(crate) dimension: usize,
    pub(crate) metric: Metric,
    pub(crate) m: Option<usize>,
    pub(crate) ef_construction: Option<usize>,
    pub(crate) ef_search: Option<usize>,
    pub(crate) engine: Option<EngineKind>,
}

impl Settings {
    const M: usize = 16;
    const EF_CONSTRUCTION: usize = 200;
    const EF_SEARCH: usize = 128;

    /// # Errors
    /// A number out of its range.
    pub(crate) fn new(asked: NewIndex, dimension_max: usize, ef_max: usize, created_ms: i64) -> Result<Self, Error> {
        let within = |what: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                Ok(value)
            } else {
                Err(Error::Invalid(format!("{what}: must be {least} to {most}, not {value}")))
            }
        };
        Ok(Settings {
            name: asked.name,
            uuid: Uuid::now_v7(),
            dimension: within("dimension", asked.dimension, 1, dimension_max.min(Vector::DIMENSION_MAX))?,
            metric: asked.metric,
            m: within("m", asked.m.unwrap_or(Self::M), 4, 128)?,
            ef_construction: within(
                "ef_construction",
                asked.ef_construction.unwrap_or(Self::EF_CONSTRUCTION),
                1,
                ef_max,
            )?,
            ef_search: within("ef_search", asked.ef_search.unwrap_or(Self::EF_SEARCH), 1, ef_max)?,
            engine: asked.engine.unwrap_or_default(),
            created_ms,
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
