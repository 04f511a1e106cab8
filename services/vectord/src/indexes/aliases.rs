//! Other names of indexes, switched at once.

use kit::Caller;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

use super::{Indexes, Names};
use crate::Error;
use crate::index::write_whole;
use crate::name::IndexName;

const FILE: &str = "aliases.json";
const VERSION: u32 = 1;

/// `aliases.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    /// Alias to index.
    aliases: BTreeMap<String, String>,
}

impl Indexes {
    /// Makes `alias` mean `index` from now on, whatever it meant before.
    ///
    /// # Errors
    /// A name of an index as alias; no such index; too many.
    pub(crate) async fn set_alias(&self, caller: &Caller, alias: &str, index: &str) -> Result<(), Error> {
        let (alias, index) = (IndexName::parse(alias)?, IndexName::parse(index)?);
        self.may_write(caller, index.as_str())?;
        if !caller.may_write(alias.as_str()) {
            return Err(Error::Forbidden { name: alias.to_string(), act: "set" });
        }
        let _naming = self.0.naming.lock().await;
        let names = self.0.names.load_full();
        if names.indexes.contains_key(&alias) {
            return Err(Error::IsIndex(alias));
        }
        if !names.indexes.contains_key(&index) {
            return Err(Error::NoIndex(index.to_string()));
        }
        let limit = self.config().aliases_max;
        let count = names.aliases.len() + usize::from(!names.aliases.contains_key(&alias));
        if count > limit {
            return Err(Error::TooMany { what: "aliases", count, limit, config_key: "aliases_max" });
        }
        let mut aliases = names.aliases.clone();
        aliases.insert(alias, index);
        self.replace_aliases(aliases).await
    }

    /// # Errors
    /// No such alias.
    pub(crate) async fn delete_alias(&self, caller: &Caller, alias: &str) -> Result<(), Error> {
        let name = IndexName::parse(alias)?;
        self.may_write(caller, alias).map_err(|error| match error {
            Error::NoIndex(raw) => Error::NoAlias(raw),
            other => other,
        })?;
        let _naming = self.0.naming.lock().await;
        let mut aliases = self.0.names.load().aliases.clone();
        if aliases.remove(&name).is_none() {
            return Err(Error::NoAlias(alias.to_owned()));
        }
        self.replace_aliases(aliases).await
    }

    /// Aliases that the caller may read, and what they mean.
    pub(crate) fn aliases(&self, caller: &Caller) -> Vec<(String, String)> {
        let names = self.0.names.load();
        let readable = names.aliases.iter().filter(|(alias, _)| caller.may_read(alias.as_str()));
        readable.map(|(alias, index)| (alias.to_string(), index.to_string())).collect()
    }

    /// On the disk first, then in what readers see.
    async fn replace_aliases(&self, aliases: BTreeMap<IndexName, IndexName>) -> Result<(), Error> {
        self.write_aliases(&aliases).await?;
        self.swap(|names: &mut Names| names.aliases = aliases);
        Ok(())
    }

    /// The aliases as they are now.
    pub(super) async fn save_aliases(&self) -> Result<(), Error> {
        let aliases = self.0.names.load().aliases.clone();
        self.write_aliases(&aliases).await
    }

    async fn write_aliases(&self, aliases: &BTreeMap<IndexName, IndexName>) -> Result<(), Error> {
        let aliases = aliases.iter().map(|(alias, index)| (alias.to_string(), index.to_string())).collect();
        let json = serde_json::to_vec_pretty(&File { version: VERSION, aliases })
            .map_err(|_| Error::Content("aliases are no JSON"))?;
        let path = self.config().data_dir.join(FILE);
        let written = self.0.shared.maintenance.run(move || write_whole(&path, &json)).await?;
        written.map_err(|source| Error::Io { what: "writing the aliases", source })
    }

    /// Reads them at the start. Blocks.
    pub(super) fn read_aliases(&self) -> Result<(), Error> {
        let json = match std::fs::read(self.config().data_dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|source| Error::Io { what: "reading the aliases", source })?,
        };
        let file: File = serde_json::from_slice(&json).map_err(|_| Error::Content("aliases cannot be read"))?;
        if file.version != VERSION {
            return Err(Error::Content("aliases are of another version"));
        }
        let parsed = file.aliases.iter().map(|(alias, index)| Ok((IndexName::parse(alias)?, IndexName::parse(index)?)));
        let parsed = parsed.collect::<Result<BTreeMap<_, _>, Error>>()?;
        self.swap(|names| names.aliases = parsed);
        Ok(())
    }
}
