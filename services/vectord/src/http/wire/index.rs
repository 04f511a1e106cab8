use ann::Metric;
use kit::Caller;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rfc3339;
use crate::Error;
use crate::follow::{self, Progress};
use crate::index::IndexInfo;
use crate::indexes::Listed;
use crate::name::IndexName;
use crate::settings::{EngineKind, NewIndex};
use crate::source;

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
    /// Numbers in a vector. Left out: as many as the model's have.
    dimension: Option<usize>,
    /// Left out: cosine, where there is a model.
    distance: Option<Distance>,
    /// Neighbours of a vector in the graph; 16 where it is left out.
    m: Option<usize>,
    /// Candidates kept while a vector is linked; 200 where it is left out.
    ef_construction: Option<usize>,
    /// Candidates kept by a search that names no `ef`; 128 where it is left out.
    ef_search: Option<usize>,
    /// Left out: as the service is configured.
    engine: Option<EngineKind>,
    /// A model of embedd, by its name: items and searches may then be texts. Left out: none, or with a source
    /// embedd's default.
    model: Option<String>,
    source: Option<Source>,
}

/// The dataset whose rows the index holds, now and later: nobody else puts items in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Source {
    dataset: String,
    /// Its values are the items' ids: no two rows have the same one.
    id_column: String,
    /// What is embedded of a row: `{column}` stands for its value there, `{{` and `}}` for braces.
    text: String,
    /// Each is a key of an item's metadata.
    #[serde(default)]
    metadata_columns: Vec<String>,
}

impl CreateIndex {
    /// As `caller` wants it.
    ///
    /// # Errors
    /// A name or template that is none.
    pub(in crate::http) fn of(self, caller: &Caller) -> Result<NewIndex, Error> {
        let body = self;
        let source = body.source.map(|Source { dataset, id_column, text, metadata_columns }| {
            source::Source::parse(caller, dataset, id_column, &text, metadata_columns)
        });
        Ok(NewIndex {
            name: IndexName::parse(&body.name)?,
            dimension: body.dimension,
            metric: body.distance.map(Metric::from),
            m: body.m,
            ef_construction: body.ef_construction,
            ef_search: body.ef_search,
            engine: body.engine,
            model: body.model,
            source: source.transpose()?,
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

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FollowStatus {
    /// It stands at the newest version.
    Current,
    /// A version is being brought in.
    Running,
    /// Something is in the way; it is tried again.
    Waiting,
    /// This version cannot be brought in; the next one will be tried.
    Failed,
}

/// How far an index has followed its dataset.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Following {
    status: FollowStatus,
    /// The dataset's version that the index holds; null: none yet.
    version: Option<u64>,
    /// The version that is being brought in, or failed.
    target_version: Option<u64>,
    /// Rows that differ between the two; null until they are counted.
    rows_total: Option<u64>,
    rows_done: u64,
    /// Why it waits or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Progress> for Following {
    fn from(told: Progress) -> Self {
        let version = |version: u64| Some(version).filter(|version| *version > 0);
        Following {
            status: match told.status {
                follow::FollowStatus::Current => FollowStatus::Current,
                follow::FollowStatus::Running => FollowStatus::Running,
                follow::FollowStatus::Waiting => FollowStatus::Waiting,
                follow::FollowStatus::Failed => FollowStatus::Failed,
            },
            version: version(told.version),
            target_version: version(told.target_version),
            rows_total: told.rows_total,
            rows_done: told.rows_done,
            reason: told.reason,
        }
    }
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
    /// Left out: it takes vectors alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// What the model's vectors are known by, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    /// With a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    following: Option<Following>,
    /// `failed`: it is read, and takes no writes.
    status: Status,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<IndexInfo> for Index {
    fn from(info: IndexInfo) -> Self {
        let IndexInfo { settings, stats, snapshot_ms, broken, following } = info;
        let fingerprint = settings.model.as_ref().map(|model| model.fingerprint.to_string());
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
            model: settings.model.map(|model| model.name),
            fingerprint,
            source: settings.source.map(|source| Source {
                dataset: source.dataset,
                id_column: source.id_column,
                text: source.text.as_str().to_owned(),
                metadata_columns: source.metadata_columns,
            }),
            following: following.map(Following::from),
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
