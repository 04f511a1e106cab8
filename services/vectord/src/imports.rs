//! Datasets into indexes, in the background.
//!
//! The rows come from queryd, in the order that they have in the version of the dataset that was the newest
//! when the import began; they are added in batches, each of them durable when it counts as done.
//!
//! An import outlives the service: it is kept with its index (`kept`), and one that was cut off goes on where
//! it was counted last. So up to [`BATCHES_UNCOUNTED_MAX`](run::BATCHES_UNCOUNTED_MAX) batches come again, and update what they had added.

mod kept;
mod run;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::Caller;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use crate::Error;
use crate::config::Config;
use crate::index::{Index, now_ms};
use crate::indexes::Indexes;

pub(crate) use kept::read as kept_imports;

/// All names of one request, bytes: they are kept with the index.
const NAMES_BYTES_MAX: usize = 64 << 10;

/// What to import.
#[derive(Debug, Clone, PartialEq)]
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
    job: Job,
}

/// What it takes to go on with an import.
#[derive(Debug, Clone, PartialEq)]
struct Job {
    asked: NewImport,
    caller: Caller,
    /// Of the dataset; `None` until it is known.
    version: Option<u64>,
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

    /// Takes in those of an index that was loaded.
    fn restore(&self, imports: Vec<Import>) {
        let mut all = self.all();
        all.extend(imports);
        // Ids begin with the time.
        all.make_contiguous().sort_by_key(|import| import.id);
        while all.len() > self.limit {
            let Some(ended) = all.iter().position(|import| import.ended_ms.is_some()) else { break };
            all.remove(ended);
        }
    }

    fn forget(&self, id: Uuid) {
        self.all().retain(|import| import.id != id);
    }

    /// Those of an index that is no more.
    pub(crate) fn forget_index(&self, index: &str) {
        self.all().retain(|import| import.index != index);
    }

    fn get(&self, id: Uuid) -> Option<Import> {
        self.all().iter().find(|import| import.id == id).cloned()
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
    /// Begins an import, which is on the disk then.
    ///
    /// # Errors
    /// No such index; too many imports; a disk that cannot be written.
    pub(crate) async fn import(&self, caller: &Caller, name: &str, asked: NewImport) -> Result<Import, Error> {
        let index = self.to_fill(caller, name)?;
        if !caller.may_read(&asked.dataset) {
            return Err(Error::Forbidden { name: asked.dataset, act: "read" });
        }
        let columns = asked.metadata_columns.iter().map(String::len).sum::<usize>();
        let names_bytes = asked.dataset.len() + asked.id_column.len() + asked.vector_column.len() + columns;
        if names_bytes > NAMES_BYTES_MAX {
            return Err(Error::Invalid(format!("the names have {names_bytes} bytes, more than {NAMES_BYTES_MAX}")));
        }
        let import = Import {
            id: Uuid::now_v7(),
            index: index.settings.name.to_string(),
            dataset: asked.dataset.clone(),
            state: ImportState::Queued,
            rows_total: None,
            rows_done: 0,
            added: 0,
            updated: 0,
            error: None,
            started_ms: now_ms(),
            ended_ms: None,
            job: Job { asked, caller: caller.clone(), version: None },
        };
        self.imports_kept().add(import.clone())?;
        let (indexes, id) = (self.clone(), import.id);
        let (tell, told) = oneshot::channel();
        // Also where the caller does not wait for it.
        self.spawn(async move {
            let kept = indexes.keep_imports(&index).await;
            let is_kept = kept.is_ok();
            drop(tell.send(kept));
            if is_kept {
                indexes.go_on(&index, id, Duration::ZERO).await;
            } else {
                indexes.imports_kept().forget(id);
            }
        });
        told.await.map_err(|_| Error::WorkLost)??;
        Ok(import)
    }

    /// Remembers those of an index that is loaded; which of them the end of the service has cut off.
    pub(crate) fn restore_imports(&self, imports: Vec<Import>) -> Vec<Uuid> {
        let cut_off = imports.iter().filter(|import| import.ended_ms.is_none()).map(|import| import.id).collect();
        self.imports_kept().restore(imports);
        cut_off
    }

    /// Goes on with what was cut off.
    pub(crate) fn resume_imports(&self, index: &Arc<Index>, cut_off: Vec<Uuid>) {
        for id in cut_off {
            let (indexes, index) = (self.clone(), index.clone());
            // Services start in any order: peers are waited for as long as for one of their answers.
            let patience = self.config().import_timeout;
            self.spawn(async move { indexes.go_on(&index, id, patience).await });
        }
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
}
