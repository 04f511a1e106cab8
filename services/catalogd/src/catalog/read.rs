//! Answers from memory; from storage only for versions that are not the newest.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use kit::Caller;

use super::Catalog;
use super::known::Snapshot;
use super::load::Read;
use crate::Error;
use crate::manifest::Manifest;
use crate::name::DatasetName;

/// Part of a list, and where the next part starts.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

/// A dataset that a statement names, and what its reader holds already.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) name: String,
    /// 0: the newest.
    pub(crate) version: u64,
    /// 0: none.
    pub(crate) known_version: u64,
}

pub(crate) enum Resolution {
    Unchanged(u64),
    Changed(Arc<Manifest>),
    NotFound(String),
}

pub(crate) struct Resolved {
    pub(crate) name: String,
    pub(crate) resolution: Resolution,
}

impl Catalog {
    /// A version of a dataset; 0 is the newest.
    ///
    /// # Errors
    /// 404; 403; storage that fails.
    pub(crate) async fn get(&self, caller: &Caller, name: &DatasetName, version: u64) -> Result<Arc<Manifest>, Error> {
        self.ready()?;
        Self::may_read(caller, name)?;
        if self.config().shared {
            self.refresh_name(name).await?;
        }
        let snapshot = self.0.known.snapshot();
        self.version_of(&snapshot, name, version).await
    }

    async fn version_of(&self, snapshot: &Snapshot, name: &DatasetName, version: u64) -> Result<Arc<Manifest>, Error> {
        let live = snapshot.datasets.get(name).and_then(|entry| entry.live());
        let newest = live.ok_or_else(|| Error::NotFound { name: name.clone() })?;
        if version == 0 || version == newest.version {
            return Ok(newest.clone());
        }
        let no_version = || Error::NoVersion { name: name.clone(), version };
        // What lies before the last create was deleted.
        if version > newest.version || version < newest.born_version {
            return Err(no_version());
        }
        let key = (name.clone(), version);
        if let Some(older) = self.0.older.get(&key) {
            return Ok(older);
        }
        match self.read_manifest(name.as_str(), version).await? {
            Read::Good(manifest) => {
                self.0.older.insert(key, manifest.clone());
                Ok(manifest)
            }
            Read::Gone => Err(no_version()),
            Read::Poison(reason) => Err(Error::Poisoned { name: name.clone(), version, reason }),
        }
    }

    /// Datasets by name.
    ///
    /// # Errors
    /// 400 for a limit or cursor that is none.
    pub(crate) fn list(&self, caller: &Caller, limit: usize, cursor: &str) -> Result<Page<Arc<Manifest>>, Error> {
        self.ready()?;
        let limit = self.page_limit(limit)?;
        let from = match cursor {
            "" => Bound::Unbounded,
            last => {
                Bound::Excluded(DatasetName::parse(last).map_err(|_| Error::Invalid("cursor: not one of ours".into()))?)
            }
        };
        let snapshot = self.0.known.snapshot();
        let mut items: Vec<Arc<Manifest>> = snapshot
            .datasets
            .range((from, Bound::Unbounded))
            .filter(|(name, _)| caller.may_read(name.as_str()))
            .filter_map(|(_, entry)| entry.live().cloned())
            .take(limit + 1)
            .collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|manifest| manifest.name.to_string());
        Ok(Page { items, next_cursor })
    }

    /// The versions that are kept of a dataset, the newest first.
    ///
    /// # Errors
    /// 404; 403; 400 for a limit or cursor that is none; storage that fails.
    pub(crate) async fn versions(
        &self,
        caller: &Caller,
        name: &DatasetName,
        limit: usize,
        cursor: &str,
    ) -> Result<Page<Arc<Manifest>>, Error> {
        let newest = self.get(caller, name, 0).await?;
        let limit = self.page_limit(limit)?;
        let below = match cursor {
            "" => u64::MAX,
            last => last.parse().map_err(|_| Error::Invalid("cursor: not one of ours".into()))?,
        };
        let listing = self.list_manifests(name.as_str()).await?;
        let listed = listing.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let numbers: Vec<u64> = listed
            .iter()
            .rev()
            .map(|listed| listed.version)
            .filter(|version| *version < below && (newest.born_version..=newest.version).contains(version))
            .take(limit + 1)
            .collect();
        let next_cursor = (numbers.len() > limit).then(|| numbers[limit - 1].to_string());
        let snapshot = self.0.known.snapshot();
        let found: Vec<Option<Arc<Manifest>>> = futures::stream::iter(numbers.into_iter().take(limit))
            .map(|version| {
                let snapshot = &snapshot;
                async move {
                    match self.version_of(snapshot, name, version).await {
                        // Collected since it was listed, or one that cannot be read: passed over.
                        Err(Error::NoVersion { .. } | Error::Poisoned { .. }) => Ok(None),
                        other => other.map(Some),
                    }
                }
            })
            .buffered(self.config().storage_calls_max)
            .try_collect()
            .await?;
        Ok(Page { items: found.into_iter().flatten().collect(), next_cursor })
    }

    /// One snapshot of everything asked for. In front of every SQL statement: newest versions come
    /// from memory.
    ///
    /// # Errors
    /// 400 for too many names; storage that fails.
    pub(crate) async fn resolve(
        &self,
        caller: &Caller,
        asked: Vec<Asked>,
        all: Option<HashMap<String, u64>>,
    ) -> Result<Vec<Resolved>, Error> {
        self.ready()?;
        if asked.len() > self.config().resolve_names_max {
            let (count, limit) = (asked.len() as u64, self.config().resolve_names_max as u64);
            return Err(Error::TooMany { what: "names", count, limit, config_key: "resolve_names_max" });
        }
        if self.config().shared {
            self.look_again(&asked, all.is_some()).await?;
        }
        let snapshot = self.0.known.snapshot();
        let mut resolved = Vec::with_capacity(asked.len());
        for one in &asked {
            let resolution = self.resolve_one(&snapshot, caller, one).await?;
            resolved.push(Resolved { name: one.name.clone(), resolution });
        }
        if let Some(held) = all {
            let live = snapshot.datasets.iter().filter_map(|(name, entry)| Some((name, entry.live()?)));
            for (name, manifest) in live.filter(|(name, _)| caller.may_read(name.as_str())) {
                let resolution = match held.get(name.as_str()) {
                    Some(version) if *version == manifest.version => Resolution::Unchanged(*version),
                    _ => Resolution::Changed(manifest.clone()),
                };
                resolved.push(Resolved { name: name.to_string(), resolution });
            }
        }
        Ok(resolved)
    }

    /// What another replica has acknowledged must be seen here.
    async fn look_again(&self, asked: &[Asked], all: bool) -> Result<(), Error> {
        if all {
            return self.refresh().await;
        }
        let names: Vec<DatasetName> = asked.iter().filter_map(|one| DatasetName::parse(&one.name).ok()).collect();
        futures::stream::iter(names)
            .map(|name| async move { self.refresh_name(&name).await })
            .buffer_unordered(self.config().storage_calls_max)
            .try_collect()
            .await
    }

    async fn resolve_one(&self, snapshot: &Snapshot, caller: &Caller, asked: &Asked) -> Result<Resolution, Error> {
        // What a caller may not read is not told from what is not there.
        let missing = || Resolution::NotFound(format!("there is no dataset {}", asked.name));
        let Ok(name) = DatasetName::parse(&asked.name) else { return Ok(missing()) };
        if !caller.may_read(name.as_str()) {
            return Ok(missing());
        }
        match self.version_of(snapshot, &name, asked.version).await {
            Ok(found) if found.version == asked.known_version => Ok(Resolution::Unchanged(found.version)),
            Ok(found) => Ok(Resolution::Changed(found)),
            Err(error @ (Error::NotFound { .. } | Error::NoVersion { .. } | Error::Poisoned { .. })) => {
                Ok(Resolution::NotFound(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn page_limit(&self, asked: usize) -> Result<usize, Error> {
        match asked {
            0 => Ok(self.config().list_limit_default.min(self.config().list_limit_max)),
            asked if asked <= self.config().list_limit_max => Ok(asked),
            _ => Err(Error::Invalid(format!("limit: at most {} (list_limit_max)", self.config().list_limit_max))),
        }
    }
}
