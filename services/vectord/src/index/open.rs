//! Making an index, and finding it again after a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::{Instant, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use super::commit::{Queue, Writer};
use super::folder::{IndexFile, io_error};
use super::{Index, Shared};
use crate::Error;
use crate::change;
use crate::config::Config;
use crate::filter::Limits;
use crate::follow::Following;
use crate::log::{Folder, LSN_FIRST, Snapshots, Wal, WalOptions, snapshot_name};
use crate::mark::Mark;
use crate::memory::MemoryStore;
use crate::settings::Settings;
use crate::store::IndexStore;

/// Beside the batch as it came, numbers as text and all: what else is in its record.
const RECORD_BYTES_SLACK: u32 = 1 << 20;

impl Index {
    /// Makes an empty index in a folder that is not there yet. Blocks.
    pub(crate) fn create(settings: Settings, path: PathBuf, shared: Shared) -> Result<Arc<Self>, Error> {
        let store = new_store(&settings, &shared.config)?;
        if path.exists() {
            // What a create or a delete that was cut off left behind.
            fs::remove_dir_all(&path).map_err(io_error("making an index's folder"))?;
        }
        let folder = Folder::open(&path, settings.uuid.into_bytes(), shared.config.fsync)?;
        let snapshots = Snapshots::open(&folder, shared.config.snapshots_kept)?;
        let (wal, _) = Wal::open(&folder, wal_options(&shared.config), LSN_FIRST, |_, _| Ok(()))?;
        // Last: from here on the folder is an index.
        IndexFile::from(&settings).write(&path)?;
        let writer = Writer { wal, snapshots, bytes_since_snapshot: 0 };
        Ok(Self::assemble(settings, (store, None), writer, 0, path, shared))
    }

    /// Reads an index back: the newest good snapshot, and what the log has after it. Blocks.
    pub(crate) fn open(settings: Settings, path: PathBuf, shared: Shared) -> Result<Arc<Self>, Error> {
        let began = Instant::now();
        let config = &shared.config;
        let folder = Folder::open(&path, settings.uuid.into_bytes(), config.fsync)?;
        let mut snapshots = Snapshots::open(&folder, config.snapshots_kept)?;
        let restored = snapshots.restore(|reader| {
            let mut store = new_store(&settings, config)?;
            let (mark, mut content) = Mark::read(reader)?;
            store.load(&mut content)?;
            Ok((store, mark))
        })?;
        for lsn in snapshots.rejected() {
            tracing::error!(index = %settings.name, snapshot = snapshot_name(lsn), "a snapshot is damaged: the one before it is used");
        }
        let (from_lsn, (store, mut mark), snapshot_ms) = match restored {
            Some((lsn, content)) => (lsn, content, modified_ms(&path.join(snapshot_name(lsn)))),
            None => (LSN_FIRST, (new_store(&settings, config)?, None), 0),
        };
        let (metric, dimension) = (settings.metric, settings.dimension);
        let mut bytes_since_snapshot = 0;
        let (wal, recovery) = Wal::open(&folder, wal_options(config), from_lsn, |_, payload| {
            bytes_since_snapshot += payload.len() as u64;
            let (ops, marked) = change::decode(payload, metric, dimension)?;
            store.apply(ops)?;
            mark = marked.or(mark.take());
            Ok(())
        })?;
        if let Some(cut) = &recovery.cut {
            tracing::warn!(index = %settings.name, segment = cut.segment, offset = cut.offset, bytes = cut.bytes, "the log's torn end is cut");
        }
        let count = store.stats().count;
        let elapsed_ms = began.elapsed().as_millis() as u64;
        tracing::info!(index = %settings.name, count, changes = recovery.records, elapsed_ms, "index loaded");
        let writer = Writer { wal, snapshots, bytes_since_snapshot };
        Ok(Self::assemble(settings, (store, mark), writer, snapshot_ms, path, shared))
    }

    fn assemble(
        settings: Settings,
        (store, mark): (MemoryStore, Option<Mark>),
        writer: Writer,
        snapshot_ms: i64,
        folder: PathBuf,
        shared: Shared,
    ) -> Arc<Self> {
        let following = settings.source.as_ref().map(|_| Following::new(mark.unwrap_or_default()));
        let index = Arc::new(Index {
            settings,
            following,
            store: Arc::new(store),
            shared,
            folder,
            queue: Queue::default(),
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
            memory_bytes: AtomicUsize::new(0),
            broken: Mutex::new(None),
            indexing: AtomicBool::new(false),
            snapshotting: tokio::sync::Mutex::new(()),
            snapshot_ms: AtomicI64::new(snapshot_ms),
            removed: CancellationToken::new(),
        });
        index.measure();
        index
    }
}

fn new_store(settings: &Settings, config: &Config) -> Result<MemoryStore, Error> {
    let limits = Limits { paths_max: config.filter_paths_max, bytes_max: config.filter_index_bytes_max };
    MemoryStore::new(settings.clone(), limits, Config::threads(config.index_threads, 1))
}

fn wal_options(config: &Config) -> WalOptions {
    // Numbers are never longer here than as they came: four bytes each.
    let record_bytes_max =
        u32::try_from(config.batch_bytes_max).unwrap_or(u32::MAX).saturating_mul(2).saturating_add(RECORD_BYTES_SLACK);
    WalOptions { segment_bytes: config.log_segment_bytes, record_bytes_max }
}

/// Milliseconds since the epoch; 0 where it is not known.
fn modified_ms(path: &Path) -> i64 {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    let since = modified.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
