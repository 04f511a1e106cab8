//! Answers as messages.

use ann::Metric;
use proto::v1 as wire;

use crate::follow::{FollowStatus, Progress};
use crate::http;
use crate::imports::{Import, ImportState};
use crate::index::IndexInfo;
use crate::indexes::{Answers, Listed};
use crate::name::IndexName;
use crate::settings::{EngineKind, score};
use crate::store::{Applied, Found, Item, Page};

/// Numbers that a setting's range keeps small.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn vector(components: Option<Vec<f32>>) -> Option<wire::Vector> {
    components.map(|components| wire::Vector { components })
}

impl From<IndexInfo> for wire::VectorIndex {
    fn from(info: IndexInfo) -> Self {
        let IndexInfo { settings, stats, snapshot_ms, broken, following } = info;
        let distance = match settings.metric {
            Metric::Cosine => wire::Distance::Cosine,
            Metric::L2 => wire::Distance::L2,
            Metric::Dot => wire::Distance::Dot,
        };
        let engine = match settings.engine {
            EngineKind::Lake => wire::VectorEngine::Lake,
            EngineKind::HnswRs => wire::VectorEngine::HnswRs,
        };
        let status = if broken.is_some() { wire::IndexStatus::Failed } else { wire::IndexStatus::Ready };
        let (model, fingerprint) = match settings.model {
            Some(model) => (model.name, model.fingerprint.as_bytes().to_vec().into()),
            None => Default::default(),
        };
        wire::VectorIndex {
            name: settings.name.to_string(),
            dimension: small(settings.dimension),
            distance: distance.into(),
            m: small(settings.m),
            ef_construction: small(settings.ef_construction),
            ef_search: small(settings.ef_search),
            engine: engine.into(),
            count: stats.count as u64,
            deleted: stats.deleted as u64,
            unindexed: stats.unindexed as u64,
            segments: stats.segments as u64,
            memory_bytes: stats.memory_bytes as u64,
            last_snapshot_ms: snapshot_ms,
            created_ms: settings.created_ms,
            status: status.into(),
            reason: broken.unwrap_or_default(),
            model,
            fingerprint,
            source: settings.source.map(|source| wire::IndexSource {
                dataset: source.dataset,
                id_column: source.id_column,
                text: source.text.as_str().to_owned(),
                metadata_columns: source.metadata_columns,
            }),
            following: following.map(wire::Following::from),
        }
    }
}

impl From<Progress> for wire::Following {
    fn from(told: Progress) -> Self {
        let status = match told.status {
            FollowStatus::Current => wire::FollowStatus::Current,
            FollowStatus::Running => wire::FollowStatus::Running,
            FollowStatus::Waiting => wire::FollowStatus::Waiting,
            FollowStatus::Failed => wire::FollowStatus::Failed,
        };
        wire::Following {
            status: status.into(),
            version: told.version,
            target_version: told.target_version,
            rows_total: told.rows_total,
            rows_done: told.rows_done,
            reason: told.reason.unwrap_or_default(),
        }
    }
}

impl From<Listed> for wire::VectorIndex {
    fn from(listed: Listed) -> Self {
        let absent = |name: IndexName, status: wire::IndexStatus, reason| wire::VectorIndex {
            name: name.to_string(),
            status: status.into(),
            reason,
            ..wire::VectorIndex::default()
        };
        match listed {
            Listed::Ready(info) => (*info).into(),
            Listed::Loading(name) => absent(name, wire::IndexStatus::Loading, String::new()),
            Listed::Broken(name, reason) => absent(name, wire::IndexStatus::Failed, reason),
        }
    }
}

impl From<Applied> for wire::AddResponse {
    fn from(applied: Applied) -> Self {
        wire::AddResponse { added: applied.added as u64, updated: applied.updated as u64 }
    }
}

pub(in crate::rpc) fn answers(answers: Answers, with_metadata: bool) -> wire::SearchResponse {
    let Answers { lists, metric, .. } = answers;
    let result = |found: Found| wire::SearchResult {
        id: found.record.id().to_owned(),
        distance: found.distance,
        score: score(metric, found.distance),
        metadata_json: with_metadata.then(|| found.record.metadata_json().to_owned()),
        vector: vector(found.vector),
    };
    let list = |list: Vec<Found>| wire::SearchResults { results: list.into_iter().map(result).collect() };
    wire::SearchResponse { lists: lists.into_iter().map(list).collect() }
}

impl From<Item> for wire::StoredItem {
    fn from(item: Item) -> Self {
        wire::StoredItem {
            id: item.record.id().to_owned(),
            metadata_json: item.record.metadata_json().to_owned(),
            vector: vector(item.vector),
        }
    }
}

impl From<Page> for wire::ScrollResponse {
    fn from(page: Page) -> Self {
        let next_cursor = page.next_after.map(|id| http::cursor(id.as_str())).unwrap_or_default();
        wire::ScrollResponse { items: page.items.into_iter().map(wire::StoredItem::from).collect(), next_cursor }
    }
}

impl From<Import> for wire::VectorImport {
    fn from(import: Import) -> Self {
        let status = match import.state {
            ImportState::Queued => wire::ImportStatus::Queued,
            ImportState::Running => wire::ImportStatus::Running,
            ImportState::Done => wire::ImportStatus::Done,
            ImportState::Failed => wire::ImportStatus::Failed,
        };
        wire::VectorImport {
            id: import.id.to_string(),
            index: import.index,
            dataset: import.dataset,
            status: status.into(),
            rows_total: import.rows_total,
            rows_done: import.rows_done,
            added: import.added,
            updated: import.updated,
            error: import.error.unwrap_or_default(),
            started_ms: import.started_ms,
            ended_ms: import.ended_ms,
        }
    }
}
