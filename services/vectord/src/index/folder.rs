//! What lies in an index's folder besides log and snapshots: `index.json`, its settings.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::name::IndexName;
use crate::settings::{EngineKind, Settings, metric_name, metric_of};

/// The file that makes a folder an index: written last of all when one is created.
pub(crate) const INDEX_FILE: &str = "index.json";
const VERSION: u32 = 1;

/// `index.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexFile {
    version: u32,
    name: String,
    pub(crate) uuid: Uuid,
    dimension: usize,
    distance: String,
    m: usize,
    ef_construction: usize,
    ef_search: usize,
    engine: EngineKind,
    created_ms: i64,
}

impl From<&Settings> for IndexFile {
    fn from(settings: &Settings) -> Self {
        IndexFile {
            version: VERSION,
            name: settings.name.to_string(),
            uuid: settings.uuid,
            dimension: settings.dimension,
            distance: metric_name(settings.metric).to_owned(),
            m: settings.m,
            ef_construction: settings.ef_construction,
            ef_search: settings.ef_search,
            engine: settings.engine,
            created_ms: settings.created_ms,
        }
    }
}

impl TryFrom<IndexFile> for Settings {
    type Error = Error;

    fn try_from(file: IndexFile) -> Result<Self, Error> {
        if file.version != VERSION {
            return Err(Error::Content("its settings are of another version"));
        }
        Ok(Settings {
            name: IndexName::parse(&file.name)?,
            uuid: file.uuid,
            dimension: file.dimension,
            metric: metric_of(&file.distance).ok_or(Error::Content("its distance is unknown"))?,
            m: file.m,
            ef_construction: file.ef_construction,
            ef_search: file.ef_search,
            engine: file.engine,
            created_ms: file.created_ms,
        })
    }
}

impl IndexFile {
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(self).map_err(|_| Error::Content("its settings are no JSON"))
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(json).map_err(|_| Error::Content("its settings cannot be read"))
    }

    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let json = fs::read(folder.join(INDEX_FILE)).map_err(io_error("reading an index's settings"))?;
        Self::from_json(&json)
    }

    /// Makes the folder an index: on the disk when this returns.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        write_whole(&folder.join(INDEX_FILE), &self.to_json()?).map_err(io_error("writing an index's settings"))
    }
}

pub(crate) fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what, source }
}

/// A reader finds the whole file or none, after a crash too.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Makes what was created, renamed or removed in a folder last.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Takes an index away: after a crash it is there or not. A folder without its settings is none.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(INDEX_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => other?,
    }
    File::open(folder)?.sync_all()?;
    fs::remove_dir_all(folder)?;
    sync_parent(folder)
}
