//! An object while it is written.

use std::fs::{self, File, FileTimes};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

/// Slices to one system call, at most what Linux takes.
const SLICES_MAX: usize = 1_024;

/// A file that is removed unless it is moved to where it belongs.
pub(super) struct TempFile {
    file: Arc<File>,
    path: PathBuf,
    moved: bool,
}

impl TempFile {
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let file = Arc::new(File::create_new(&path)?);
        Ok(TempFile { file, path, moved: false })
    }

    pub(super) fn write(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let batch = rest.len().min(SLICES_MAX);
            match (&*self.file).write_vectored(&rest[..batch]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives it its time and has it on the disk before it is seen.
    pub(super) fn seal(&self, modified: SystemTime, fsync: bool) -> io::Result<fs::Metadata> {
        self.file.set_times(FileTimes::new().set_modified(modified))?;
        if fsync {
            // Not sync_data: the time is part of the entity tag.
            self.file.sync_all()?;
        }
        self.file.metadata()
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It lies at its place now.
    pub(super) fn moved(mut self) {
        self.moved = true;
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if self.moved {
            return;
        }
        let path = std::mem::take(&mut self.path);
        let remove = move || {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, "a temporary file stays until the next start");
            }
        };
        // Dropped by an async task where a client left: no file operation there.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
