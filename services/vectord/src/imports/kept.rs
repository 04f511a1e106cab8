//! Imports as they are kept with their index: `imports.json` in its folder, replaced as a whole.

use std::io;
use std::path::Path;
use std::sync::Arc;

use kit::Caller;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Import, ImportState, Job, NewImport};
use crate::Error;
use crate::index::Index;
use crate::indexes::Indexes;

const FILE: &str = "imports.json";
const VERSION: u32 = 1;

/// `imports.json`: the oldest first.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    imports: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptState {
    /// Queued or running: it goes on after a start.
    Begun,
    Done,
    Failed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    id: Uuid,
    dataset: String,
    id_column: String,
    vector_column: String,
    metadata_columns: Vec<String>,
    caller: Caller,
    dataset_version: Option<u64>,
    state: KeptState,
    rows_total: Option<u64>,
    rows_done: u64,
    added: u64,
    updated: u64,
    error: Option<String>,
    started_ms: i64,
    ended_ms: Option<i64>,
}

impl From<Import> for Kept {
    fn from(import: Import) -> Self {
        let Import { id, dataset, state, rows_total, rows_done, added, updated, error, started_ms, ended_ms, .. } =
            import;
        let Job { asked, caller, version } = import.job;
        let NewImport { id_column, vector_column, metadata_columns, .. } = asked;
        let state = match state {
            ImportState::Queued | ImportState::Running => KeptState::Begun,
            ImportState::Done => KeptState::Done,
            ImportState::Failed => KeptState::Failed,
        };
        Kept {
            id,
            dataset,
            id_column,
            vector_column,
            metadata_columns,
            caller,
            dataset_version: version,
            state,
            rows_total,
            rows_done,
            added,
            updated,
            error,
            started_ms,
            ended_ms,
        }
    }
}

impl Kept {
    fn into_import(self, index: &str) -> Import {
        let state = match self.state {
            KeptState::Begun => ImportState::Queued,
            KeptState::Done => ImportState::Done,
            KeptState::Failed => ImportState::Failed,
        };
        let asked = NewImport {
            dataset: self.dataset.clone(),
            id_column: self.id_column,
            vector_column: self.vector_column,
            metadata_columns: self.metadata_columns,
        };
        Import {
            id: self.id,
            index: index.to_owned(),
            dataset: self.dataset,
            state,
            rows_total: self.rows_total,
            rows_done: self.rows_done,
            added: self.added,
            updated: self.updated,
            error: self.error,
            started_ms: self.started_ms,
            ended_ms: self.ended_ms,
            job: Job { asked, caller: self.caller, version: self.dataset_version },
        }
    }
}

/// The imports that an index's folder knows, the oldest first. Blocks. What cannot be read is reported and
/// forgotten: the index is good without it.
pub(crate) fn read(folder: &Path, index: &str) -> Vec<Import> {
    let file = match std::fs::read(folder.join(FILE)) {
        Ok(json) => serde_json::from_slice::<File>(&json).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => Err(error),
    };
    match file {
        Ok(File { version: VERSION, imports }) => imports.into_iter().map(|kept| kept.into_import(index)).collect(),
        Ok(File { version, .. }) => {
            tracing::error!(index, version, "its imports are of another version and forgotten");
            Vec::new()
        }
        Err(error) => {
            tracing::error!(
                index,
                error = &error as &dyn std::error::Error,
                "its imports cannot be read and are forgotten"
            );
            Vec::new()
        }
    }
}

impl Indexes {
    /// Puts an index's imports, as they stand now, on the disk.
    pub(super) async fn keep_imports(&self, index: &Arc<Index>) -> Result<(), Error> {
        self.keep(index, None).await
    }

    /// As they stand now, but for one, which is as given.
    pub(super) async fn keep_imports_with(&self, index: &Arc<Index>, import: Import) -> Result<(), Error> {
        self.keep(index, Some(import)).await
    }

    async fn keep(&self, index: &Arc<Index>, other: Option<Import>) -> Result<(), Error> {
        let name = index.settings.name.to_string();
        let indexes = self.clone();
        let json = move || {
            let mut imports = indexes.imports_kept().of(&name);
            imports.reverse();
            if let Some(other) = other
                && let Some(place) = imports.iter_mut().find(|import| import.id == other.id)
            {
                *place = other;
            }
            let file = File { version: VERSION, imports: imports.into_iter().map(Kept::from).collect() };
            serde_json::to_vec(&file).map_err(|_| Error::Content("its imports are no JSON"))
        };
        index.keep(FILE, json).await
    }
}
