//! Collects what no kept version uses: manifests that are no longer kept, then the objects that
//! no manifest left names, orphans of broken writes included.
//!
//! Invariant: a dataset of which any manifest cannot be read loses nothing. Objects are listed
//! before the manifests that may name them, and only those unused for `gc_grace` are touched, so
//! that writes and queries under way keep theirs.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::load::{Listed, Read, manifest_key};
use super::{Catalog, now_ms};
use crate::Error;
use crate::name::{DatasetId, DatasetName};

const OBJECTS: &str = "datasets/";

/// The manifests of one dataset: those to be kept, and those to go.
struct Sorted {
    kept: Vec<u64>,
    obsolete: Vec<u64>,
}

impl Catalog {
    /// Every `gc_every`, until the service stops.
    pub(crate) async fn collect_garbage(&self) {
        loop {
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = tokio::time::sleep(self.config().gc_every) => {}
            }
            let collecting = self.collect();
            let outcome = tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                outcome = collecting => outcome,
            };
            match outcome {
                Ok(()) => {
                    self.0.metrics.collections.inc();
                }
                Err(error) => tracing::warn!(%error, "collection of unused objects broke off"),
            }
        }
    }

    async fn collect(&self) -> Result<(), Error> {
        let folders = self.folders_by_id().await?;
        let mut orphans = Vec::new();
        let ids = self.listed_ids().await?;
        for id in &ids {
            let unused_since = self.objects_before(id, self.grace_ended()).await?;
            match folders.get(id) {
                Some(folder) => self.collect_dataset(folder, unused_since).await?,
                None => orphans.push((id, unused_since)),
            }
        }
        // Datasets without any object: only their manifests.
        for (_, folder) in folders.iter().filter(|(id, _)| !ids.contains(*id)) {
            self.collect_dataset(folder, Vec::new()).await?;
        }
        if orphans.is_empty() {
            return Ok(());
        }
        // Their first manifest may have come since.
        let folders = self.folders_by_id().await?;
        for (_, keys) in orphans.into_iter().filter(|(id, _)| !folders.contains_key(*id)) {
            self.throw_away(&keys).await;
        }
        Ok(())
    }

    /// Whatever was last used before this may go.
    fn grace_ended(&self) -> i64 {
        let grace_ms = i64::try_from(self.config().gc_grace.as_millis()).unwrap_or(i64::MAX);
        now_ms().saturating_sub(grace_ms)
    }

    /// Folders of manifests by the id of their dataset, also those with a name that is none.
    async fn folders_by_id(&self) -> Result<BTreeMap<String, String>, Error> {
        let listing = self.list_manifests("").await?;
        Ok(listing.into_keys().map(|folder| (DatasetId::of(&folder).to_string(), folder)).collect())
    }

    async fn listed_ids(&self) -> Result<HashSet<String>, Error> {
        let mut ids = HashSet::new();
        let mut cursor = String::new();
        loop {
            let page = self.0.storage.list(OBJECTS, "/", &cursor).await?;
            let folders = page.prefixes.iter().filter_map(|prefix| prefix.strip_prefix(OBJECTS)?.strip_suffix('/'));
            ids.extend(folders.map(str::to_owned));
            if page.next_cursor.is_empty() {
                return Ok(ids);
            }
            cursor = page.next_cursor;
        }
    }

    async fn objects_before(&self, id: &str, ms: i64) -> Result<Vec<String>, Error> {
        let prefix = format!("{OBJECTS}{id}/");
        let mut keys = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.0.storage.list(&prefix, "", &cursor).await?;
            keys.extend(page.objects.into_iter().filter(|object| object.modified_ms <= ms).map(|object| object.key));
            if page.next_cursor.is_empty() {
                return Ok(keys);
            }
            cursor = page.next_cursor;
        }
    }

    async fn collect_dataset(&self, folder: &str, candidates: Vec<String>) -> Result<(), Error> {
        let mut listing = self.list_manifests(folder).await?;
        let Some(versions) = listing.remove(folder) else { return Ok(()) };
        let Some(sorted) = self.sort(folder, &versions).await? else { return Ok(()) };
        let Some(used) = self.used(folder, &sorted.kept).await? else { return Ok(()) };
        let mut keys: Vec<String> = sorted.obsolete.iter().map(|version| manifest_key(folder, *version)).collect();
        // Manifests first: none may name an object that is gone, in memory neither.
        self.throw_away(&keys).await;
        for version in &sorted.obsolete {
            if let Ok(name) = DatasetName::parse(folder) {
                self.0.older.invalidate(&(name, *version));
            }
        }
        keys = candidates.into_iter().filter(|key| !used.contains(key)).collect();
        self.throw_away(&keys).await;
        Ok(())
    }

    /// `None` where the newest cannot be read: then nothing is known.
    async fn sort(&self, folder: &str, versions: &[Listed]) -> Result<Option<Sorted>, Error> {
        let Some(newest) = versions.last() else { return Ok(None) };
        let Read::Good(manifest) = self.read_manifest(folder, newest.version).await? else { return Ok(None) };
        let born = if manifest.is_live() { manifest.born_version } else { manifest.version };
        let keep = usize::try_from(self.config().versions_kept).unwrap_or(usize::MAX);
        let grace_ended = self.grace_ended();
        // What was deleted is obsolete since the dataset was created again, or since its tombstone.
        let reborn_ms = versions.iter().find(|listed| listed.version >= born).map_or(i64::MAX, |l| l.modified_ms);
        let mut sorted = Sorted { kept: Vec::new(), obsolete: Vec::new() };
        for (position, listed) in versions.iter().enumerate() {
            let outnumbered = position.checked_add(keep).and_then(|at| versions.get(at));
            let obsolete_since = match outnumbered.map(|listed| listed.modified_ms) {
                Some(ms) => Some(ms),
                None if listed.version < born => Some(reborn_ms),
                None => None,
            };
            let goes = obsolete_since.is_some_and(|ms| ms <= grace_ended);
            let list = if goes { &mut sorted.obsolete } else { &mut sorted.kept };
            list.push(listed.version);
        }
        Ok(Some(sorted))
    }

    /// Keys that the versions name; `None` where one of them cannot be read.
    async fn used(&self, folder: &str, versions: &[u64]) -> Result<Option<HashSet<String>>, Error> {
        let mut used = HashSet::new();
        for version in versions {
            match self.read_manifest(folder, *version).await? {
                Read::Good(manifest) => used.extend(manifest.objects.iter().map(|object| object.key.clone())),
                Read::Gone => {}
                Read::Poison(_) => return Ok(None),
            }
        }
        Ok(Some(used))
    }

    async fn throw_away(&self, keys: &[String]) {
        if !keys.is_empty() {
            tracing::info!(objects = keys.len(), first = keys[0], "collecting what nothing uses");
            self.discard(keys).await;
            self.0.metrics.collected.inc_by(keys.len() as u64);
        }
    }
}

/// How long an older version is answered from memory, after which storage is asked whether it was
/// collected.
pub(super) const OLDER_VERSION_KNOWN_FOR: Duration = Duration::from_secs(60);
