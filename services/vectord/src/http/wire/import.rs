use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rfc3339;
use crate::imports::{self, ImportState, NewImport};

/// A dataset to bring into an index.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct BeginImport {
    dataset: String,
    /// Its text is an item's id.
    id_column: String,
    /// A list of numbers.
    vector_column: String,
    /// Each is a key of an item's metadata. Left out: what metadata is stored stays.
    #[serde(default)]
    metadata_columns: Vec<String>,
}

impl From<BeginImport> for NewImport {
    fn from(body: BeginImport) -> Self {
        let BeginImport { dataset, id_column, vector_column, metadata_columns } = body;
        NewImport { dataset, id_column, vector_column, metadata_columns }
    }
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ImportStatus {
    Queued,
    Running,
    Done,
    Failed,
}

/// An import and its progress.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Import {
    id: String,
    index: String,
    dataset: String,
    status: ImportStatus,
    /// Null until they are counted.
    rows_total: Option<u64>,
    rows_done: u64,
    /// Of the rows done, those whose item was not there.
    added: u64,
    /// Of the rows done, those whose item was there.
    updated: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[schema(format = DateTime)]
    started: String,
    #[schema(format = DateTime)]
    ended: Option<String>,
}

impl From<imports::Import> for Import {
    fn from(import: imports::Import) -> Self {
        Import {
            id: import.id.to_string(),
            index: import.index,
            dataset: import.dataset,
            status: match import.state {
                ImportState::Queued => ImportStatus::Queued,
                ImportState::Running => ImportStatus::Running,
                ImportState::Done => ImportStatus::Done,
                ImportState::Failed => ImportStatus::Failed,
            },
            rows_total: import.rows_total,
            rows_done: import.rows_done,
            added: import.added,
            updated: import.updated,
            error: import.error,
            started: rfc3339(import.started_ms),
            ended: import.ended_ms.map(rfc3339),
        }
    }
}

/// The newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Imports {
    imports: Vec<Import>,
    /// Always null: they come in one page.
    next_cursor: Option<String>,
}

impl From<Vec<imports::Import>> for Imports {
    fn from(imports: Vec<imports::Import>) -> Self {
        Imports { imports: imports.into_iter().map(Import::from).collect(), next_cursor: None }
    }
}
