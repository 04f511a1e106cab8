//! Objects in a directory.
//!
//! ```text
//! data_dir/storaged.lock   one process at a time
//! data_dir/objects/…       see [`layout`]
//! data_dir/tmp/…           what is being written; emptied at start
//! ```
//!
//! Invariant: a file below `objects/` is whole, and durable before its write is acknowledged: it
//! is written under `tmp/`, fsynced, renamed, and its folder fsynced.
//! Invariant: the lock of a key is held by every operation that changes what lies there, from the
//! look at what is there to the change, so that conditions hold at the moment of the change.

mod clock;
mod delete;
mod directory;
mod folders;
mod layout;
mod list;
mod pool;
mod put;
mod read;
mod temp;

use std::fs;
use std::hash::BuildHasher;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use kit::server::ServeError;

use crate::Error;
use crate::config::Config;
use crate::etag::{Condition, ETag};
use crate::key::ObjectKey;
use crate::store::{ListQuery, Object, ObjectMeta, ObjectStore, Page, Put, Read, Stored};

/// More than writes run at once, so that two keys seldom share a lock.
const LOCKS: usize = 256;

/// The local backend.
pub(crate) struct Local {
    files: Arc<Files>,
    pool: pool::Pool,
}

/// What file operations share; its methods block.
struct Files {
    directory: directory::Directory,
    folders: folders::Folders,
    clock: clock::Clock,
    fsync: bool,
    temp_count: AtomicU64,
    locks: Vec<Mutex<()>>,
    hasher: std::hash::RandomState,
}

impl Local {
    /// Locks the directory and clears what an earlier process left behind.
    pub(crate) async fn open(config: &Config) -> Result<Self, ServeError> {
        let (data_dir, fsync) = (config.data_dir.clone(), config.fsync);
        let opened = tokio::task::spawn_blocking(move || Files::open(&data_dir, fsync)).await;
        let files = opened.map_err(|error| ServeError::start("the data directory cannot be opened", error))??;
        Ok(Local { files: Arc::new(files), pool: pool::Pool::new(config.file_operations_max) })
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Files) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let files = self.files.clone();
        self.pool.run(move || operation(&files)).await
    }
}

impl Files {
    fn open(data_dir: &Path, fsync: bool) -> Result<Self, ServeError> {
        let directory = directory::Directory::open(data_dir, fsync)?;
        Ok(Files {
            folders: folders::Folders::new(directory.objects.clone(), fsync),
            directory,
            clock: clock::Clock::default(),
            fsync,
            temp_count: AtomicU64::new(0),
            locks: std::iter::repeat_with(Mutex::default).take(LOCKS).collect(),
            hasher: std::hash::RandomState::new(),
        })
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        layout::object_path(&self.directory.objects, key.as_str())
    }

    fn new_temp(&self) -> Result<temp::TempFile, Error> {
        let number = self.temp_count.fetch_add(1, Ordering::Relaxed);
        temp::TempFile::create(self.directory.temp.join(number.to_string()))
            .map_err(|error| Error::disk("create a temporary file", error))
    }

    fn lock(&self, key: &ObjectKey) -> MutexGuard<'_, ()> {
        let shard = self.hasher.hash_one(key) as usize % self.locks.len();
        self.locks[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tag of what lies at `path`, if anything does, and whether `condition` holds of it.
    fn check(&self, key: &ObjectKey, path: &Path, condition: &Condition) -> Result<Option<ETag>, Error> {
        let present = match fs::symlink_metadata(path) {
            Ok(metadata) => Some(etag(&metadata)),
            Err(error) if is_absence(&error) => None,
            Err(error) => return Err(Error::disk("look at an object", error)),
        };
        if condition.holds(present.as_ref()) {
            Ok(present)
        } else {
            Err(Error::ConditionFailed { key: key.to_string() })
        }
    }
}

/// Made of what a write always changes; no hash of the content, which would cost a second read.
fn etag(metadata: &fs::Metadata) -> ETag {
    let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    ETag::from_backend(&format!("{modified_ns:x}-{:x}-{:x}", metadata.ino(), metadata.len()))
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl ObjectStore for Local {
    fn put<'a>(&'a self, key: &'a ObjectKey, put: Put) -> BoxFuture<'a, Result<Stored, Error>> {
        self.write(key, put).boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, read: &'a Read) -> BoxFuture<'a, Result<Object, Error>> {
        self.open_object(key.clone(), read.clone()).boxed()
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, Error>> {
        let key = key.clone();
        self.run(move |files| files.meta(&key)).boxed()
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey, condition: &'a Condition) -> BoxFuture<'a, Result<(), Error>> {
        let (key, condition) = (key.clone(), condition.clone());
        self.run(move |files| files.delete(&key, &condition)).boxed()
    }

    fn list(&self, query: ListQuery) -> BoxFuture<'_, Result<Page, Error>> {
        self.run(move |files| files.list(&query)).boxed()
    }

    fn copy<'a>(
        &'a self,
        source: &'a ObjectKey,
        target: &'a ObjectKey,
        source_condition: &'a Condition,
    ) -> BoxFuture<'a, Result<Stored, Error>> {
        let (source, target, condition) = (source.clone(), target.clone(), source_condition.clone());
        self.run(move |files| files.copy(&source, target, &condition)).boxed()
    }

    fn locate(&self, text: &str) -> String {
        let path = layout::folder_path(&self.files.directory.objects, text);
        let is_folder = text.is_empty() || text.ends_with('/');
        // An absolute path always makes a URL; only the one of a directory ends in `/`.
        let url = if is_folder { url::Url::from_directory_path(path) } else { url::Url::from_file_path(path) };
        url.map(String::from).unwrap_or_default()
    }

    fn conditional_puts(&self) -> bool {
        true
    }

    fn check(&self) -> BoxFuture<'_, Result<String, Error>> {
        let check = |files: &Files| {
            let room = rustix::fs::statvfs(&files.directory.objects)
                .map_err(|error| Error::disk("look at the data directory", error.into()))?;
            let free_mib = room.f_bavail.saturating_mul(room.f_frsize) >> 20;
            drop(files.new_temp()?);
            Ok(format!("local directory, {free_mib} MiB free"))
        };
        self.run(check).boxed()
    }
}
