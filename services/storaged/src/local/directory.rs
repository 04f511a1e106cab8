//! The directory as a whole: one process at a time, and no leftovers.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use kit::server::ServeError;

const LOCK_FILE: &str = "storaged.lock";
const IN_USE: &[u8] = b"in use\n";

/// The directory of the local backend, held by this process until dropped.
#[derive(Debug)]
pub(super) struct Directory {
    lock: File,
    /// Of the objects.
    pub(super) objects: PathBuf,
    /// Of what is being written; on the same file system, so that a rename moves it.
    pub(super) temp: PathBuf,
}

impl Directory {
    /// Makes it where it is missing, locks it, and removes what an earlier process left in the
    /// middle of.
    pub(super) fn open(data_dir: &Path, fsync: bool) -> Result<Self, ServeError> {
        let failed = |error: std::io::Error| {
            ServeError::start(format!("the data directory {} cannot be used", data_dir.display()), error)
        };
        fs::create_dir_all(data_dir).map_err(failed)?;
        let data_dir = data_dir.canonicalize().map_err(failed)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(data_dir.join(LOCK_FILE))
            .map_err(failed)?;
        lock.try_lock().map_err(|error| {
            let reason = format!("the data directory {} is in use by another storaged", data_dir.display());
            ServeError::start(reason, error)
        })?;
        let directory = Directory {
            objects: data_dir.join("objects"),
            temp: data_dir.join("tmp"),
            lock: lock.try_clone().map_err(failed)?,
        };
        fs::create_dir_all(&directory.objects).map_err(failed)?;
        if directory.temp.exists() {
            fs::remove_dir_all(&directory.temp).map_err(failed)?;
        }
        fs::create_dir_all(&directory.temp).map_err(failed)?;

        let mut left = Vec::new();
        lock.read_to_end(&mut left).map_err(failed)?;
        if fsync && !left.is_empty() {
            // A killed process may have left in the page cache what readers see from now on.
            rustix::fs::syncfs(&lock).map_err(|error| failed(error.into()))?;
        }
        lock.seek(SeekFrom::Start(0)).map_err(failed)?;
        lock.write_all(IN_USE).map_err(failed)?;
        if fsync {
            for folder in [&directory.objects, &data_dir] {
                File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
            }
        }
        Ok(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Whatever was acknowledged is on the disk: the next start has nothing to make good.
        let _only_costs_a_sync = self.lock.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_without_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        let first = Directory::open(folder.path(), true).unwrap();
        fs::write(first.temp.join("7"), "half").unwrap();
        let refused = Directory::open(folder.path(), true).unwrap_err().to_string();
        assert!(refused.contains("in use by another storaged"), "{refused}");
        drop(first);
        let again = Directory::open(folder.path(), true).unwrap();
        assert_eq!(fs::read_dir(&again.temp).unwrap().count(), 0);
    }
}
