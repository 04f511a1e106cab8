//! The folder of one index: what is in it, and that a change of it lasts.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::format::IndexId;

/// What the folder itself is called in errors.
const ITSELF: &str = "the index's folder";

/// An index's folder, for its log and its snapshots alone until every clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Folder(Arc<Held>);

#[derive(Debug)]
struct Held {
    path: PathBuf,
    /// Kept open for the lock, and so that making entries durable costs no lookup.
    handle: File,
    index: IndexId,
    fsync: bool,
}

impl Folder {
    /// Opens and locks the folder of the index `index`; makes it, durably, where it is missing (its parent
    /// has to be there). Without `fsync` nothing in it waits for the disk, and a power cut may lose what was
    /// acknowledged: for tests and measurements.
    ///
    /// # Errors
    /// [`LogError::InUse`] while anybody else has it; those of file operations.
    pub(crate) fn open(path: &Path, index: IndexId, fsync: bool) -> Result<Self, LogError> {
        let path = std::path::absolute(path).map_err(LogError::io("open", ITSELF))?;
        if !path.exists() {
            fs::create_dir(&path).map_err(LogError::io("make", ITSELF))?;
        }
        let handle = File::open(&path).map_err(LogError::io("open", ITSELF))?;
        handle.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => LogError::InUse,
            fs::TryLockError::Error(error) => LogError::io("lock", ITSELF)(error),
        })?;
        let folder = Folder(Arc::new(Held { path, handle, index, fsync }));
        if let (true, Some(parent)) = (fsync, folder.0.path.parent()) {
            // Also where it was there: whoever made it may have been killed before this.
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(LogError::io("make", ITSELF))?;
        }
        // What a killed process had made may not be on the disk yet.
        folder.sync()?;
        Ok(folder)
    }

    pub(super) fn index(&self) -> IndexId {
        self.0.index
    }

    pub(super) fn fsync(&self) -> bool {
        self.0.fsync
    }

    /// The numbers that `parse` finds in the names of the entries, in order.
    pub(super) fn numbers(&self, parse: impl Fn(&str) -> Option<u64>) -> Result<Vec<u64>, LogError> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.0.path).map_err(LogError::io("list", ITSELF))? {
            let name = entry.map_err(LogError::io("list", ITSELF))?.file_name();
            numbers.extend(name.to_str().and_then(&parse));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A file that must not be there yet.
    pub(super) fn create(&self, name: &str) -> Result<File, LogError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.0.path.join(name)).map_err(LogError::io("make", name))
    }

    pub(super) fn open_file(&self, name: &str, write: bool) -> Result<File, LogError> {
        let mut options = OpenOptions::new();
        options.read(true).write(write).open(self.0.path.join(name)).map_err(LogError::io("open", name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        // In doubt it is there.
        self.0.path.join(name).try_exists().unwrap_or(true)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), LogError> {
        fs::rename(self.0.path.join(from), self.0.path.join(to)).map_err(LogError::io("put in its place", to))
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), LogError> {
        fs::remove_file(self.0.path.join(name)).map_err(LogError::io("remove", name))
    }

    /// Makes entries that came, went or changed their names durable.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        if !self.0.fsync {
            return Ok(());
        }
        self.0.handle.sync_all().map_err(LogError::io("sync", ITSELF))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing alone would leave it locked while a process that another thread starts has the handle,
        // until that one's exec.
        let _closing_unlocks_too = self.handle.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_being_started_does_not_hold_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path(), [1; 16], false).unwrap();
        // As between fork and exec.
        let _inherited = folder.0.handle.try_clone().unwrap();
        drop(folder);
        Folder::open(home.path(), [1; 16], false).unwrap();
    }
}
