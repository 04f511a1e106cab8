//! What goes on behind an index: linking what is only scanned, snapshots, compaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::commit::Writer;
use super::{Index, write_whole};
use crate::Error;
use crate::follow::Following;

/// After a load of so many items the heap is looked through for pages that only their batches needed.
const TRIMMED_AFTER_ITEMS: usize = 10_000;

impl Index {
    /// Starts what is due and not under way.
    pub(crate) fn maintain(self: &Arc<Self>) {
        let unindexed = self.store.stats().unindexed;
        // While a version is brought in, the cores are for whoever makes its vectors: what is not linked is found
        // by comparing.
        let waits = self.following.as_ref().is_some_and(Following::is_bringing_in)
            && unindexed < self.shared.config.follow_unlinked_items_max;
        if unindexed > 0 && !waits && !self.indexing.swap(true, Ordering::AcqRel) {
            self.shared.tasks.spawn(self.clone().index_waiting());
        }
        let due = self
            .writer
            .try_lock()
            .is_ok_and(|writer| writer.bytes_since_snapshot >= self.shared.config.snapshot_after_bytes);
        if due && self.snapshotting.try_lock().is_ok() {
            let index = self.clone();
            self.shared.tasks.spawn(async move {
                if let Err(error) = index.snapshot().await {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(index = %index.settings.name, error, "no snapshot");
                }
            });
        }
    }

    async fn index_waiting(self: Arc<Self>) {
        let mut most = 0;
        while !self.shared.stopping.is_cancelled() && !self.removed.is_cancelled() {
            let index = self.clone();
            let left = self.shared.maintenance.run(move || index.store.index_some()).await;
            match left.map_err(Error::from).and_then(|left| left) {
                Ok(0) => break,
                Ok(left) => most = most.max(left),
                Err(error) => {
                    tracing::error!(index = %self.settings.name, error = &error as &dyn std::error::Error, "vectors cannot be linked");
                    break;
                }
            }
        }
        self.measure();
        if most >= TRIMMED_AFTER_ITEMS
            && let Err(error) = self.shared.maintenance.run(kit::heap::trim).await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "the heap was not trimmed");
        }
        self.check_reach().await;
        self.indexing.store(false, Ordering::Release);
        // What came between the last look and the flag.
        if self.store.stats().unindexed > 0 && !self.shared.stopping.is_cancelled() && self.broken().is_none() {
            self.maintain();
        }
    }

    /// Writes all that is acknowledged into a snapshot, and cuts the log where no snapshot needs it.
    ///
    /// # Errors
    /// What writing met: the log stays as it was.
    pub(crate) async fn snapshot(self: &Arc<Self>) -> Result<(), Error> {
        let _alone = self.snapshotting.lock().await;
        self.writable()?;
        let writer = self.writer.clone().lock_owned().await;
        let index = self.clone();
        // Nothing is applied while the content is written; the wait for the disk is after that.
        let written = self.shared.maintenance.run(move || {
            let mut snapshot = writer.snapshots.write(writer.wal.next_lsn())?;
            if let Some(following) = &index.following {
                following.mark().write(&mut snapshot)?;
            }
            index.store.save(&mut snapshot)?;
            let logged = writer.bytes_since_snapshot;
            drop(writer);
            Ok::<_, Error>((snapshot.seal()?, logged))
        });
        let (sealed, logged) = written.await??;
        let mut writer = self.writer.clone().lock_owned().await;
        let placed = self.shared.maintenance.run(move || {
            let Writer { wal, snapshots, bytes_since_snapshot } = &mut *writer;
            *bytes_since_snapshot -= logged;
            snapshots.checkpoint(sealed, wal)?;
            Ok::<_, Error>(wal.bytes())
        });
        let log_bytes = placed.await??;
        tracing::info!(index = %self.settings.name, log_bytes, "snapshot taken");
        self.snapshot_ms.store(now_ms(), Ordering::Relaxed);
        self.shared.metrics.snapshots.inc();
        // Where too many wait to be copied, a later one does as well.
        drop(self.shared.snapshots_taken.try_send(self.clone()));
        Ok(())
    }

    /// Puts a file beside log and snapshots: whole, and on the disk when this returns. `bytes` is called when it is
    /// this one's turn, so that the last one called is the one that stays.
    ///
    /// # Errors
    /// An index that is no more; what writing met.
    pub(crate) async fn keep(
        &self,
        file: &'static str,
        bytes: impl FnOnce() -> Result<Vec<u8>, Error>,
    ) -> Result<(), Error> {
        // Who removes the folder has it before.
        let _writer = self.writer.lock().await;
        if self.removed.is_cancelled() {
            return Err(Error::NoIndex(self.settings.name.to_string()));
        }
        let (path, bytes) = (self.folder.join(file), bytes()?);
        let written = self.shared.maintenance.run(move || write_whole(&path, &bytes)).await?;
        written.map_err(|source| Error::Io { what: "writing beside an index's log", source })
    }

    /// The number of the newest snapshot; `None` where there is none.
    pub(crate) async fn newest_snapshot(&self) -> Result<Option<u64>, Error> {
        Ok(self.writer.lock().await.snapshots.newest_first()?.into_iter().next())
    }

    /// Reclaims what deletes have left.
    ///
    /// # Errors
    /// None but a pool that is full.
    pub(crate) async fn compact(self: &Arc<Self>) -> Result<(), Error> {
        let index = self.clone();
        self.shared
            .maintenance
            .run(move || {
                index.store.compact();
                index.measure();
            })
            .await?;
        self.check_reach().await;
        Ok(())
    }

    /// Counts what searches cannot get to, for the metrics: there should be nothing.
    async fn check_reach(self: &Arc<Self>) {
        let index = self.clone();
        let counted = self.shared.maintenance.run(move || {
            // Counted first: what is added meanwhile is reached, and not lost.
            let count = index.store.stats().count;
            count.saturating_sub(index.store.reachable())
        });
        if let Ok(unreachable) = counted.await {
            self.shared.metrics.unreachable(self.settings.name.as_str(), unreachable);
        }
    }

    /// For the end of the service: a snapshot where the log would take long to read.
    pub(crate) async fn close(self: &Arc<Self>) {
        let logged = self.writer.lock().await.bytes_since_snapshot;
        if logged > 0
            && let Err(error) = self.snapshot().await
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(index = %self.settings.name, error, "no snapshot at the end");
        }
    }
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
