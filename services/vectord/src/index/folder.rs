//! What lies in an index's folder besides log and snapshots: `index.json`, its settings.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::model::{Fingerprint, Model};
use crate::name::IndexName;
use crate::settings::{EngineKind, Settings, metric_name, metric_of};
use crate::source::Source;
use crate::template::Template;

/// The file that makes a folder an index: written last of all when one is created.
pub(crate) const INDEX_FILE: &str = "index.json";
/// Of an index that takes vectors alone.
const VERSION_1: u32 = 1;
/// With a model, and perhaps a source.
const VERSION_2: u32 = 2;

/// `index.json`. Both versions are read for ever; version 2 is written only where version 1 does not do.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<ModelEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<SourceEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelEntry {
    name: String,
    /// Hexadecimal.
    fingerprint: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceEntry {
    dataset: String,
    id_column: String,
    text: String,
    metadata_columns: Vec<String>,
    tenant: String,
}

impl From<&Settings> for IndexFile {
    fn from(settings: &Settings) -> Self {
        IndexFile {
            version: if settings.model.is_some() { VERSION_2 } else { VERSION_1 },
            name: settings.name.to_string(),
            uuid: settings.uuid,
            dimension: settings.dimension,
            distance: metric_name(settings.metric).to_owned(),
            m: settings.m,
            ef_construction: settings.ef_construction,
            ef_search: settings.ef_search,
            engine: settings.engine,
            created_ms: settings.created_ms,
            model: settings
                .model
                .as_ref()
                .map(|model| ModelEntry { name: model.name.clone(), fingerprint: model.fingerprint.to_string() }),
            source: settings.source.as_ref().map(|source| SourceEntry {
                dataset: source.dataset.clone(),
                id_column: source.id_column.clone(),
                text: source.text.as_str().to_owned(),
                metadata_columns: source.metadata_columns.clone(),
                tenant: source.tenant.to_string(),
            }),
        }
    }
}

impl TryFrom<ModelEntry> for Model {
    type Error = Error;

    fn try_from(entry: ModelEntry) -> Result<Self, Error> {
        Ok(Model { name: entry.name, fingerprint: Fingerprint::parse(&entry.fingerprint)? })
    }
}

impl TryFrom<SourceEntry> for Source {
    type Error = Error;

    fn try_from(entry: SourceEntry) -> Result<Self, Error> {
        let SourceEntry { dataset, id_column, text, metadata_columns, tenant } = entry;
        Ok(Source { dataset, id_column, text: Template::parse(&text)?, metadata_columns, tenant: tenant.into() })
    }
}

impl TryFrom<IndexFile> for Settings {
    type Error = Error;

    fn try_from(file: IndexFile) -> Result<Self, Error> {
        if ![VERSION_1, VERSION_2].contains(&file.version) {
            return Err(Error::Content("its settings are of another version"));
        }
        if file.source.is_some() && file.model.is_none() {
            return Err(Error::Content("it has a source and no model"));
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
            model: file.model.map(Model::try_from).transpose()?,
            source: file.source.map(Source::try_from).transpose()?,
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""name":"workers","uuid":"0199a0b0-0000-7000-8000-000000000001","dimension":3,"distance":"cosine","m":16,"ef_construction":200,"ef_search":128,"engine":"lake","created_ms":1780000000000"#;

    fn read(json: &str) -> Result<Settings, Error> {
        Settings::try_from(IndexFile::from_json(json.as_bytes())?)
    }

    fn written(settings: &Settings) -> String {
        let json = IndexFile::from(settings).to_json().unwrap();
        // As one line, in the order of the fields.
        String::from_utf8(json).unwrap().lines().map(|line| line.trim().replacen("\": ", "\":", 1)).collect()
    }

    #[test]
    fn version_1_is_read_for_ever_and_written_where_it_does() {
        let json = format!(r#"{{"version":1,{HEAD}}}"#);
        let settings = read(&json).unwrap();
        assert_eq!(
            (settings.name.as_str(), settings.dimension, settings.created_ms),
            ("workers", 3, 1_780_000_000_000)
        );
        assert_eq!((&settings.model, &settings.source), (&None, &None));
        assert_eq!(written(&settings), json);
    }

    #[test]
    fn version_2_is_read_for_ever() {
        let model = r#""model":{"name":"MiniLM","fingerprint":"00ff"}"#;
        let source = r#""source":{"dataset":"crew","id_column":"id","text":"{role} {{}}","metadata_columns":["role"],"tenant":"local"}"#;
        let json = format!(r#"{{"version":2,{HEAD},{model},{source}}}"#);
        let settings = read(&json).unwrap();
        assert_eq!(settings.model, Some(Model { name: "MiniLM".into(), fingerprint: Fingerprint::new(&[0, 255]) }));
        let followed = settings.source.as_ref().unwrap();
        assert_eq!((followed.dataset.as_str(), followed.text.as_str()), ("crew", "{role} {{}}"));
        assert_eq!(written(&settings), json);
        assert_eq!(read(&format!(r#"{{"version":2,{HEAD},{model}}}"#)).unwrap().source, None);
    }

    #[test]
    fn what_is_no_settings_is_refused() {
        let source = r#""source":{"dataset":"d","id_column":"id","text":"{a}","metadata_columns":[],"tenant":"t"}"#;
        for bad in [
            format!(r#"{{"version":3,{HEAD}}}"#),
            format!(r#"{{"version":2,{HEAD},{source}}}"#),
            format!(r#"{{"version":2,{HEAD},"model":{{"name":"m","fingerprint":"xy"}}}}"#),
            format!(r#"{{"version":2,{HEAD},"models":[]}}"#),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
