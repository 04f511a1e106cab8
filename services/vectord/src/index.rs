//! One index: its log above its store.
//!
//! A write is checked, put into the log and on the disk together with whatever else came meanwhile, applied,
//! and only then acknowledged. Beside that, what is found by comparing is linked into the graph, and
//! snapshots let the log be cut.

mod commit;
mod folder;
mod maintain;
mod open;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kit::Pool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Error;
use crate::config::Config;
use crate::follow::{Following, Progress};
use crate::mark::Mark;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::store::{IndexStore, StoreStats};
use commit::{Queue, Writer};

pub(crate) use commit::Change;
pub(crate) use folder::{INDEX_FILE, IndexFile, remove_folder, write_whole};
pub(crate) use maintain::now_ms;

/// What all indexes of a service share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) searches: Pool,
    pub(crate) maintenance: Pool,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Where whoever copies snapshots to storage hears of new ones.
    pub(crate) snapshots_taken: mpsc::Sender<Arc<Index>>,
    /// Of all indexes together.
    pub(crate) memory_bytes: Arc<AtomicUsize>,
}

/// See the module.
pub(crate) struct Index {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn IndexStore>,
    /// With a source: how far it has followed that.
    pub(crate) following: Option<Following>,
    shared: Shared,
    folder: PathBuf,
    queue: Queue,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    /// What this index adds to `shared.memory_bytes`.
    memory_bytes: AtomicUsize,
    /// Why it takes no more writes.
    broken: Mutex<Option<String>>,
    indexing: AtomicBool,
    snapshotting: tokio::sync::Mutex<()>,
    /// 0: none yet.
    snapshot_ms: AtomicI64,
    /// Set when the index is deleted.
    pub(crate) removed: CancellationToken,
}

/// What `GET /v1/vectors/index/{name}` tells.
#[derive(Debug, Clone)]
pub(crate) struct IndexInfo {
    pub(crate) settings: Settings,
    pub(crate) stats: StoreStats,
    /// Milliseconds since the epoch; `None` before the first.
    pub(crate) snapshot_ms: Option<i64>,
    /// Why it takes no writes; `None` where it does.
    pub(crate) broken: Option<String>,
    /// With a source.
    pub(crate) following: Option<Progress>,
}

impl Index {
    pub(crate) fn info(&self) -> IndexInfo {
        let snapshot_ms = Some(self.snapshot_ms.load(Ordering::Relaxed)).filter(|ms| *ms > 0);
        IndexInfo {
            settings: self.settings.clone(),
            stats: self.store.stats(),
            snapshot_ms,
            broken: self.broken(),
            following: self.following.as_ref().map(Following::progress),
        }
    }

    /// How far it has followed its source; nowhere, without one.
    pub(crate) fn mark(&self) -> Mark {
        self.following.as_ref().map(Following::mark).unwrap_or_default()
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn breaks(&self, reason: &str) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert_with(|| reason.to_owned());
    }

    fn writable(&self) -> Result<(), Error> {
        if self.removed.is_cancelled() {
            return Err(Error::NoIndex(self.settings.name.to_string()));
        }
        match self.broken() {
            Some(reason) => Err(Error::Broken { name: self.settings.name.clone(), reason }),
            None => Ok(()),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits for the write that is under way; while the answer is held there is no other.
    pub(crate) async fn write_no_more(&self) -> impl Sized + use<> {
        self.writer.clone().lock_owned().await
    }

    /// Notes how much memory is in use now.
    fn measure(&self) {
        let now = self.store.stats().memory_bytes;
        let before = self.memory_bytes.swap(now, Ordering::Relaxed);
        let all = self.shared.memory_bytes.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        self.shared.metrics.memory_bytes.set(all.wrapping_add(now).wrapping_sub(before) as i64);
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.shared.memory_bytes.fetch_sub(self.memory_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
