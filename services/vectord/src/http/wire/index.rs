use ann::Metric;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rfc3339;
use crate::Error;
use crate::index::IndexInfo;
use crate::indexes::Listed;
use crate::name::IndexName;
use crate::settings::{EngineKind, NewIndex};

/// How far apart two vectors are.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Distance {
    Cosine,
    L2,
    Dot,
}

impl From<Distance> for Metric {
    fn from(distance: Distance) -> Self {
        match distance {
            Distance::Cosine => Metric::Cosine,
            Distance::L2 => Metric::L2,
            Distance::Dot => Metric::Dot,
        }
    }
}

impl From<Metric> for Distance {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Cosine => Distance::Cosine,
            Metric::L2 => Distance::L2,
            Metric::Dot => Distance::Dot,
        }
    }
}

/// An index to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateIndex {
    /// `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`
    name: String,
    /// Numbers in a vector.
    dimension: usize,
    distance: Distance,
    /// Neighbours of a vector in the graph; 16 where it is left out.
    m: Option<usize>,
    /// Candidates kept while a vector is linked; 200 where it is left out.
    ef_construction: Option<usize>,
    /// Candidates kept by a search that names no `ef`; 128 where it is left out.
    ef_search: Option<usize>,
    /// Left out: as the service is configured.
    engine: Option<EngineKind>,
}

impl TryFrom<CreateIndex> for NewIndex {
    type Error = Error;

    fn try_from(body: CreateIndex) -> Result<Self, Error> {
        Ok(NewIndex {
            name: IndexName::parse(&body.name)?,
            dimension: body.dimension,
            metric: body.distance.into(),
            m: body.m,
            ef_construction: body.ef_construction,
            ef_search: body.ef_search,
            engine: body.engine,
        })
    }
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ready,
    Loading,
    Failed,
}

/// An index as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Index {
    pub(in crate::http) name: String,
    dimension: usize,
    distance: Distance,
    m: usize,
    ef_construction: usize,
    ef_search: usize,
    engine: EngineKind,
    /// Items that can be found.
    count: usize,
    /// Vectors deleted or replaced whose space has not been reclaimed yet.
    deleted: usize,
    /// Items that are found by comparing with each, as the graph does not have them yet.
    unindexed: usize,
    segments: usize,
    memory_bytes: usize,
    #[schema(format = DateTime)]
    last_snapshot: Option<String>,
    #[schema(format = DateTime)]
    created: String,
    /// `failed`: it is read, and takes no writes.
    status: Status,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<IndexInfo> for Index {
    fn from(info: IndexInfo) -> Self {
        let IndexInfo { settings, stats, snapshot_ms, broken } = info;
        Index {
            name: settings.name.to_string(),
            dimension: settings.dimension,
            distance: settings.metric.into(),
            m: settings.m,
            ef_construction: settings.ef_construction,
            ef_search: settings.ef_search,
            engine: settings.engine,
            count: stats.count,
            deleted: stats.deleted,
            unindexed: stats.unindexed,
            segments: stats.segments,
            memory_bytes: stats.memory_bytes,
            last_snapshot: snapshot_ms.map(rfc3339),
            created: rfc3339(settings.created_ms),
            status: if broken.is_some() { Status::Failed } else { Status::Ready },
            reason: broken,
        }
    }
}

/// One that is not there to be used.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AbsentIndex {
    name: String,
    status: Status,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// An entry of the list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum ListedIndex {
    /// One that can be used.
    Ready(Box<Index>),
    /// One that is being loaded, or could not be.
    Absent(AbsentIndex),
}

impl From<Listed> for ListedIndex {
    fn from(listed: Listed) -> Self {
        let absent = |name: IndexName, status, reason| {
            ListedIndex::Absent(AbsentIndex { name: name.to_string(), status, reason })
        };
        match listed {
            Listed::Ready(info) => ListedIndex::Ready(Box::new((*info).into())),
            Listed::Loading(name) => absent(name, Status::Loading, None),
            Listed::Broken(name, reason) => absent(name, Status::Failed, Some(reason)),
        }
    }
}

/// By their names.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Indexes {
    pub(in crate::http) indexes: Vec<ListedIndex>,
    /// Null on the last page.
    pub(in crate::http) next_cursor: Option<String>,
}
