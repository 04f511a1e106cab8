//! What lies in the data folder when the service starts.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use kit::Status;

use super::{Indexes, State};
use crate::Error;
use crate::follow::follow;
use crate::imports::kept_imports;
use crate::index::{INDEX_FILE, Index, IndexFile};
use crate::name::IndexName;
use crate::settings::Settings;

/// Keeps a second vectord away from the folder for as long as it lives.
pub(crate) struct Lock(#[expect(dead_code, reason = "locked while it is open")] File);

/// What `/health` calls an index.
pub(super) fn component(name: &IndexName) -> String {
    format!("index {name}")
}

impl Indexes {
    /// Finds out which indexes there are, and begins to load them, several at once.
    ///
    /// # Errors
    /// A folder that cannot be used, or is another's.
    pub(crate) async fn load(&self) -> Result<Lock, Error> {
        let indexes = self.clone();
        let (lock, names) = self.0.shared.maintenance.run(move || indexes.look()).await??;
        self.swap(|all| all.indexes.extend(names.iter().cloned().map(|name| (name, State::Loading))));
        for name in names {
            let indexes = self.clone();
            self.0.shared.tasks.spawn(async move { indexes.load_one(name).await });
        }
        Ok(lock)
    }

    /// Locks the folder and lists what is in it. Blocks.
    fn look(&self) -> Result<(Lock, Vec<IndexName>), Error> {
        let io = |what| move |source| Error::Io { what, source };
        let folder = self.config().data_dir.join("indexes");
        fs::create_dir_all(&folder).map_err(io("making the data folder"))?;
        let lock = File::create(self.config().data_dir.join("lock")).map_err(io("making the data folder's lock"))?;
        lock.try_lock().map_err(|error| Error::Io {
            what: "the data folder is another vectord's",
            source: io::Error::other(error),
        })?;
        self.read_aliases()?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io("reading the data folder"))? {
            let path = entry.map_err(io("reading the data folder"))?.path();
            names.extend(index_in(&path)?);
        }
        Ok((Lock(lock), names))
    }

    pub(super) async fn load_one(&self, name: IndexName) {
        self.0.health.set(component(&name), Status::Degraded, "being loaded");
        let (folder, shared) = (self.folder(&name), self.0.shared.clone());
        let wanted = name.clone();
        let opened = self.0.shared.maintenance.run(move || {
            let settings = Settings::try_from(IndexFile::read(&folder)?)?;
            if settings.name != wanted {
                return Err(Error::Content("its settings are another's"));
            }
            let imports = kept_imports(&folder, settings.name.as_str());
            Ok((Index::open(settings, folder, shared)?, imports))
        });
        match opened.await.map_err(Error::from).and_then(|opened| opened) {
            Ok((index, imports)) => {
                self.0.health.remove(&component(&name));
                index.maintain();
                let cut_off = self.restore_imports(imports);
                self.swap(|names| drop(names.indexes.insert(name, State::Ready(index.clone()))));
                self.resume_imports(&index, cut_off);
                follow(self, &index);
            }
            Err(error) => {
                tracing::error!(index = %name, error = &error as &dyn std::error::Error, "index cannot be loaded");
                let reason = error.reason();
                self.0.health.set(component(&name), Status::Degraded, reason.clone());
                self.0.shared.metrics.broken.inc();
                self.swap(|names| drop(names.indexes.insert(name, State::Broken(reason))));
            }
        }
    }

    /// For the end of the service: what is logged goes into snapshots, so that the next start is quick.
    pub(crate) async fn close(&self) {
        let names = self.0.names.load_full();
        let ready = names.indexes.values().filter_map(|state| match state {
            State::Ready(index) => Some(index),
            State::Loading | State::Broken(_) => None,
        });
        futures::future::join_all(ready.map(Index::close)).await;
    }
}

/// The index in a folder. What a create or a delete that was cut off left behind is removed.
fn index_in(path: &Path) -> Result<Option<IndexName>, Error> {
    let named = path.file_name().and_then(|name| name.to_str()).and_then(|name| IndexName::parse(name).ok());
    let Some(name) = named.filter(|_| path.is_dir()) else {
        tracing::warn!(entry = ?path.file_name(), "not an index, left alone");
        return Ok(None);
    };
    if path.join(INDEX_FILE).exists() {
        return Ok(Some(name));
    }
    fs::remove_dir_all(path).map_err(|source| Error::Io { what: "removing the rest of an index", source })?;
    Ok(None)
}

impl Error {
    /// What `/health` says of an index that cannot be used: what is wrong, without paths.
    fn reason(&self) -> String {
        let cause = std::error::Error::source(self).map(|cause| format!(": {cause}"));
        format!("{self}{}", cause.unwrap_or_default())
    }
}
