//! The snapshots of one index: which there are, which are kept, and the log they need.

use std::collections::BTreeSet;
use std::error::Error;

use super::folder::Folder;
use super::format::{snapshot_lsn, snapshot_name, temp_lsn, temp_name};
use super::snapshot::{SealedSnapshot, SnapshotReader, SnapshotWriter};
use super::{LogError, Wal};

/// The snapshots in an index's folder. One of lsn `n` holds what the records before `n` did; replay on top of
/// it begins with record `n`.
///
/// Invariant: besides the newest snapshots that are kept, the log is there from the oldest of them on; while
/// there are fewer than are to be kept, all of it. So a newest one that turns out to be damaged costs time,
/// not data.
#[derive(Debug)]
pub(crate) struct Snapshots {
    folder: Folder,
    keep: usize,
    /// Those with a good end whose content turned out to be damaged.
    rejected: BTreeSet<u64>,
}

impl Snapshots {
    /// Of `folder`, where temporary files of an earlier process are removed; the newest `keep` (at least 1)
    /// good snapshots stay.
    ///
    /// # Errors
    /// Those of file operations.
    pub(crate) fn open(folder: &Folder, keep: usize) -> Result<Self, LogError> {
        for lsn in folder.numbers(temp_lsn)? {
            folder.remove(&temp_name(lsn))?;
        }
        Ok(Snapshots { folder: folder.clone(), keep: keep.max(1), rejected: BTreeSet::new() })
    }

    /// The lsns of all there are, good or not.
    ///
    /// # Errors
    /// Those of file operations.
    pub(crate) fn newest_first(&self) -> Result<Vec<u64>, LogError> {
        let mut lsns = self.folder.numbers(snapshot_lsn)?;
        lsns.reverse();
        Ok(lsns)
    }

    /// Opens the one of `lsn` if it ends as it should.
    ///
    /// # Errors
    /// [`LogError::BadSnapshot`], [`LogError::Foreign`], [`LogError::Version`]; those of file operations.
    pub(crate) fn read(&self, lsn: u64) -> Result<SnapshotReader, LogError> {
        SnapshotReader::open(&self.folder, lsn)
    }

    /// Gives `load` the newest snapshot, and the one before that where it proves damaged, and so on. The
    /// answer is the lsn to replay the log from and what `load` made of the good one; `None` if there is
    /// none, and the log has to be replayed from its first record.
    ///
    /// # Errors
    /// [`LogError::Load`] if `load` fails on a snapshot that is as it was written; [`LogError::Foreign`],
    /// [`LogError::Version`]; those of file operations.
    pub(crate) fn restore<T>(
        &mut self,
        mut load: impl FnMut(&mut SnapshotReader) -> Result<T, Box<dyn Error + Send + Sync>>,
    ) -> Result<Option<(u64, T)>, LogError> {
        for lsn in self.newest_first()? {
            let mut reader = match self.read(lsn) {
                Err(LogError::BadSnapshot { .. }) => continue,
                reader => reader?,
            };
            let loaded = load(&mut reader);
            match (reader.finish(), loaded) {
                (Ok(()), Ok(loaded)) => return Ok(Some((lsn, loaded))),
                (Ok(()), Err(source)) => return Err(LogError::Load { file: snapshot_name(lsn), source }),
                (Err(LogError::BadSnapshot { .. }), _) => {
                    self.rejected.insert(lsn);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Those that [`restore`](Snapshots::restore) found damaged inside, for whoever reports them.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = u64> {
        self.rejected.iter().copied()
    }

    /// Begins a snapshot of what the records before `lsn` did.
    ///
    /// # Errors
    /// Those of file operations, also where one of the same lsn is being written.
    pub(crate) fn write(&self, lsn: u64) -> Result<SnapshotWriter, LogError> {
        SnapshotWriter::create(&self.folder, lsn)
    }

    /// Puts a snapshot in its place, and removes snapshots and segments that are not needed any more.
    ///
    /// In this order, so that a crash at any point leaves too much, never too little: the log durable up to
    /// the snapshot; the snapshot in its place; older snapshots gone; what only those needed of the log gone.
    ///
    /// # Errors
    /// [`LogError::Ahead`] where the log never had the records that the snapshot holds;
    /// [`LogError::Poisoned`]; those of file operations, after which the next checkpoint removes what is left.
    pub(crate) fn checkpoint(&mut self, snapshot: SealedSnapshot, wal: &mut Wal) -> Result<(), LogError> {
        let lsn = snapshot.lsn();
        if lsn > wal.next_lsn() {
            return Err(LogError::Ahead { lsn, next_lsn: wal.next_lsn() });
        }
        wal.sync()?;
        snapshot.place()?;
        self.rejected.remove(&lsn);
        self.prune(wal)
    }

    fn prune(&mut self, wal: &mut Wal) -> Result<(), LogError> {
        let mut kept = Vec::new();
        let mut removed = Vec::new();
        for lsn in self.newest_first()? {
            let is_good = match self.read(lsn) {
                Ok(_) => !self.rejected.contains(&lsn),
                Err(LogError::BadSnapshot { .. }) => false,
                Err(error) => return Err(error),
            };
            if is_good && kept.len() < self.keep {
                kept.push(lsn);
            } else {
                removed.push(lsn);
            }
        }
        for lsn in &removed {
            self.folder.remove(&snapshot_name(*lsn))?;
            self.rejected.remove(lsn);
        }
        if !removed.is_empty() {
            self.folder.sync()?;
        }
        match kept.last() {
            Some(oldest) if kept.len() == self.keep => wal.truncate_before(*oldest),
            _ => Ok(()),
        }
    }
}
