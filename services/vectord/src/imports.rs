//! Datasets into indexes, in the background.
//!
//! The rows come from queryd, one snapshot of the dataset, as a stream; they are added in batches, each of
//! them durable when it counts as done. An import that is cut off by the end of the service is begun again
//! by its caller: items that are there already are updated.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::{RecordBatch, UInt64Array};
use kit::{Caller, ServiceError};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use uuid::Uuid;

use crate::Error;
use crate::arrow;
use crate::config::Config;
use crate::index::now_ms;
use crate::indexes::Indexes;
use crate::queryd::{quoted, text};

/// How long a full backlog of unindexed items is given before the next try.
const BACKLOG_PAUSE: Duration = Duration::from_millis(200);

/// What to import.
#[derive(Debug, Clone)]
pub(crate) struct NewImport {
    pub(crate) dataset: String,
    pub(crate) id_column: String,
    pub(crate) vector_column: String,
    pub(crate) metadata_columns: Vec<String>,
}

/// Where an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportState {
    Queued,
    Running,
    Done,
    Failed,
}

/// An import and its progress.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    pub(crate) id: Uuid,
    pub(crate) index: String,
    pub(crate) dataset: String,
    pub(crate) state: ImportState,
    /// `None` until they are counted.
    pub(crate) rows_total: Option<u64>,
    pub(crate) rows_done: u64,
    pub(crate) added: u64,
    pub(crate) updated: u64,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// Milliseconds since the epoch.
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: Option<i64>,
}

/// The imports that are remembered, the oldest first.
pub(crate) struct Imports {
    all: Mutex<VecDeque<Import>>,
    running: Arc<Semaphore>,
    limit: usize,
}

impl Imports {
    pub(crate) fn new(config: &Config) -> Self {
        let running = Arc::new(Semaphore::new(config.imports_at_once_max));
        Imports { all: Mutex::default(), running, limit: config.imports_max }
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Import>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, import: Import) -> Result<(), Error> {
        let mut all = self.all();
        if all.len() >= self.limit {
            let ended = all.iter().position(|import| import.ended_ms.is_some());
            let Some(ended) = ended else {
                return Err(Error::Overloaded { what: "imports", limit: self.limit, config_key: "imports_max" });
            };
            all.remove(ended);
        }
        all.push_back(import);
        Ok(())
    }

    fn update(&self, id: Uuid, change: impl FnOnce(&mut Import)) {
        if let Some(import) = self.all().iter_mut().find(|import| import.id == id) {
            change(import);
        }
    }

    fn of(&self, index: &str) -> Vec<Import> {
        self.all().iter().rev().filter(|import| import.index == index).cloned().collect()
    }
}

impl Indexes {
    /// Begins an import.
    ///
    /// # Errors
    /// No such index; too many imports.
    pub(crate) fn import(&self, caller: &Caller, name: &str, asked: NewImport) -> Result<Import, Error> {
        let index = self.to_fill(caller, name)?.settings.name.to_string();
        if !caller.may_read(&asked.dataset) {
            return Err(Error::Forbidden { name: asked.dataset, act: "read" });
        }
        let import = Import {
            id: Uuid::now_v7(),
            index,
            dataset: asked.dataset.clone(),
            state: ImportState::Queued,
            rows_total: None,
            rows_done: 0,
            added: 0,
            updated: 0,
            error: None,
            started_ms: now_ms(),
            ended_ms: None,
        };
        self.imports_kept().add(import.clone())?;
        let (indexes, caller, id, index) = (self.clone(), caller.clone(), import.id, import.index.clone());
        self.spawn(async move {
            let ended = indexes.run_import(&caller, id, &index, &asked).await;
            indexes.imports_kept().update(id, |import| {
                import.ended_ms = Some(now_ms());
                import.state = if ended.is_ok() { ImportState::Done } else { ImportState::Failed };
                import.error = ended.as_ref().err().map(ServiceError::public_detail);
            });
            if let Err(error) = ended {
                tracing::warn!(%index, import = %id, error = &error as &dyn std::error::Error, "import failed");
            }
        });
        Ok(import)
    }

    /// Imports into an index, the newest first.
    ///
    /// # Errors
    /// No such index.
    pub(crate) fn imports(&self, caller: &Caller, name: &str) -> Result<Vec<Import>, Error> {
        let index = self.to_read(caller, name)?;
        Ok(self.imports_kept().of(index.settings.name.as_str()))
    }

    /// One import.
    ///
    /// # Errors
    /// No such index or import.
    pub(crate) fn find_import(&self, caller: &Caller, name: &str, id: &str) -> Result<Import, Error> {
        let imports = self.imports(caller, name)?;
        let found = imports.into_iter().find(|import| import.id.to_string() == id);
        found.ok_or_else(|| Error::NoImport(id.to_owned()))
    }

    async fn run_import(&self, caller: &Caller, id: Uuid, index: &str, asked: &NewImport) -> Result<(), Error> {
        let running = self.imports_kept().running.clone();
        // Never closed.
        let _running = running.acquire().await.map_err(|_| Error::WorkLost)?;
        self.imports_kept().update(id, |import| import.state = ImportState::Running);
        let timeout = self.config().import_timeout;
        let count = format!("SELECT count(*)::UBIGINT FROM {}", quoted(&asked.dataset));
        let mut counted = self.query(caller, count.into(), timeout).await?;
        let counts = counted.next().await?.filter(|batch| batch.num_columns() == 1);
        let counts = counts.as_ref().and_then(|batch| batch.column(0).as_any().downcast_ref::<UInt64Array>());
        let total = counts.and_then(|counts| counts.iter().next().flatten());
        self.imports_kept().update(id, |import| import.rows_total = total);
        let rows_at_once = self.config().import_batch_items;
        let mut answer = self.query(caller, select(asked).into(), timeout).await?;
        while let Some(batch) = answer.next().await? {
            let mut from = 0;
            while from < batch.num_rows() {
                let rows = rows_at_once.min(batch.num_rows() - from);
                self.import_rows(caller, id, index, &batch.slice(from, rows)).await?;
                from += rows;
            }
        }
        Ok(())
    }

    async fn import_rows(&self, caller: &Caller, id: Uuid, index: &str, batch: &RecordBatch) -> Result<(), Error> {
        loop {
            let items = arrow::items_of(batch)?;
            match self.add(caller, index, items).await {
                Err(Error::Backlog { .. } | Error::Overloaded { .. }) => {
                    let stopping = self.stopping();
                    if stopping.run_until_cancelled(sleep(BACKLOG_PAUSE)).await.is_none() {
                        return Err(Error::Stopping);
                    }
                }
                Err(error) => return Err(error),
                Ok(applied) => {
                    self.imports_kept().update(id, |import| {
                        import.rows_done += batch.num_rows() as u64;
                        import.added += applied.added as u64;
                        import.updated += applied.updated as u64;
                    });
                    return Ok(());
                }
            }
        }
    }
}

/// The statement that gives an import its rows: `id`, `vector`, `metadata`.
fn select(asked: &NewImport) -> String {
    let pairs: Vec<String> =
        asked.metadata_columns.iter().map(|column| format!("{}, {}", text(column), quoted(column))).collect();
    let metadata = if pairs.is_empty() {
        String::new()
    } else {
        format!(", json_object({})::VARCHAR AS metadata", pairs.join(", "))
    };
    format!(
        "SELECT {}::VARCHAR AS id, {}::FLOAT[] AS vector{metadata} FROM {}",
        quoted(&asked.id_column),
        quoted(&asked.vector_column),
        quoted(&asked.dataset)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        let asked = NewImport {
            dataset: "workers".into(),
            id_column: "id\" FROM secrets --".into(),
            vector_column: "v".into(),
            metadata_columns: vec!["it's".into()],
        };
        assert_eq!(
            select(&asked),
            "SELECT \"id\"\" FROM secrets --\"::VARCHAR AS id, \"v\"::FLOAT[] AS vector, \
             json_object('it''s', \"it's\")::VARCHAR AS metadata FROM \"workers\""
        );
    }
}
