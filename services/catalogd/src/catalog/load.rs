//! From storage into memory: everything at the start, then what other replicas wrote.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use futures::StreamExt;
use kit::{Code, Status};
use proto::v1::GetRequest;

use super::Catalog;
use super::known::{Entry, Poison};
use crate::Error;
use crate::manifest::{Manifest, codec};
use crate::name::DatasetName;

pub(super) const MANIFESTS: &str = "_catalog/manifests/";
const EXTENSION: &str = ".parquet";
const START_RETRY_FROM: Duration = Duration::from_millis(25);
const START_RETRY_TO: Duration = Duration::from_secs(1);
const COMPONENT: &str = "catalog";

/// A manifest file as a list shows it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) version: u64,
    pub(super) modified_ms: i64,
    etag: String,
}

impl Listed {
    fn mark(&self) -> (String, i64) {
        (self.etag.clone(), self.modified_ms)
    }
}

/// By folder, which need not be a name that is accepted; versions rising.
pub(super) type Listing = BTreeMap<String, Vec<Listed>>;

/// What came of reading a manifest.
pub(super) enum Read {
    Good(Arc<Manifest>),
    Poison(String),
    Gone,
}

pub(super) fn manifest_key(folder: &str, version: u64) -> String {
    format!("{MANIFESTS}{folder}/{version:020}{EXTENSION}")
}

impl Catalog {
    /// From here on, until [`Self::start`] is done, nobody is to be sent here. Called before the
    /// first request can ask.
    pub(crate) fn not_ready(&self) {
        self.0.health.set(COMPONENT, Status::Starting, "loading manifests");
    }

    /// Loads everything, waiting for storage; then requests are answered.
    ///
    /// # Errors
    /// Storage that did not answer within `start_timeout`.
    pub(crate) async fn start(&self) -> Result<(), Error> {
        let started = Instant::now();
        let backoff = ExponentialBuilder::default()
            .with_min_delay(START_RETRY_FROM)
            .with_max_delay(START_RETRY_TO)
            .with_total_delay(Some(self.config().start_timeout))
            .without_max_times()
            .with_jitter();
        let load = || self.refresh();
        load.retry(backoff)
            .notify(|error, _| self.0.health.set(COMPONENT, Status::Starting, error.to_string()))
            .await?;
        self.0.ready.store(true, Ordering::Release);
        let datasets = self.0.known.snapshot().datasets.len();
        self.0.metrics.start_seconds.set(started.elapsed().as_secs_f64());
        tracing::info!(datasets, elapsed_ms = started.elapsed().as_millis(), "catalog loaded");
        if self.config().shared && !self.0.storage.honours_conditions().await? {
            let words = "storage ignores conditional puts: run one catalogd alone, with shared = false";
            self.0.health.set("conditional_puts", Status::Degraded, words);
        }
        Ok(())
    }

    /// Looks for what other replicas wrote, every `refresh_every`, until the service stops.
    pub(crate) async fn keep_fresh(&self) {
        loop {
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = tokio::time::sleep(self.config().refresh_every) => {}
            }
            if let Err(error) = self.refresh().await {
                self.0.metrics.refresh_failures.inc();
                tracing::warn!(%error, "refresh failed");
            }
        }
    }

    /// Takes over whatever is newer in storage than here.
    ///
    /// # Errors
    /// Storage that fails; then nothing, or a part, has been taken over.
    pub(super) async fn refresh(&self) -> Result<(), Error> {
        let outcome = self.refresh_all().await;
        match &outcome {
            Ok(()) => self.report(),
            Err(_) if self.ready().is_err() => {}
            Err(_) => self.0.health.set(COMPONENT, Status::Degraded, "storage does not answer: serving what is known"),
        }
        outcome
    }

    async fn refresh_all(&self) -> Result<(), Error> {
        let before = self.0.known.snapshot();
        let listing = self.list_manifests("").await?;
        let gone: Vec<DatasetName> =
            before.datasets.keys().filter(|name| !listing.contains_key(name.as_str())).cloned().collect();
        let mut listed = Vec::with_capacity(listing.len());
        let mut poison_folders = BTreeMap::new();
        for (folder, versions) in listing {
            match DatasetName::parse(&folder) {
                Ok(name) => listed.push((name, versions)),
                Err(error) => {
                    poison_folders.insert(folder, error.to_string());
                }
            }
        }
        self.0.metrics.set_poison_folders(poison_folders);
        let outcomes: Vec<Result<Option<_>, Error>> = futures::stream::iter(listed)
            .map(|(name, versions)| async move { self.newer(name, &versions).await })
            .buffer_unordered(self.config().storage_calls_max)
            .collect()
            .await;
        // One that failed does not keep the others back.
        let (mut news, mut failed) = (Vec::new(), None);
        for outcome in outcomes {
            match outcome {
                Ok(one) => news.extend(one),
                Err(error) => failed = Some(error),
            }
        }
        if !news.is_empty() {
            self.0.known.publish(news);
        }
        failed.map_or(Ok(()), Err)?;
        self.forget(gone).await
    }

    /// Names whose manifests somebody has taken away by hand.
    async fn forget(&self, names: Vec<DatasetName>) -> Result<(), Error> {
        let mut gone = Vec::new();
        for name in names {
            // Looked for again: it may have been created after the list began.
            if self.list_manifests(name.as_str()).await?.is_empty() {
                tracing::warn!(%name, "its manifests are no longer there");
                gone.push(name);
            }
        }
        if !gone.is_empty() {
            self.0.known.forget(&gone);
        }
        Ok(())
    }

    /// Takes over what is newer of one name.
    ///
    /// # Errors
    /// Storage that fails.
    pub(super) async fn refresh_name(&self, name: &DatasetName) -> Result<(), Error> {
        let listing = self.list_manifests(name.as_str()).await?;
        if let Some(versions) = listing.get(name.as_str())
            && let Some(news) = self.newer(name.clone(), versions).await?
        {
            self.0.known.publish(vec![news]);
            self.report();
        }
        Ok(())
    }

    /// The manifests of `folder`, or of all where it is empty.
    ///
    /// # Errors
    /// Storage that fails.
    pub(super) async fn list_manifests(&self, folder: &str) -> Result<Listing, Error> {
        let prefix = if folder.is_empty() { MANIFESTS.to_owned() } else { format!("{MANIFESTS}{folder}/") };
        let mut listing = Listing::new();
        let mut cursor = String::new();
        loop {
            let page = self.0.storage.list(&prefix, "", &cursor).await?;
            for object in page.objects {
                let Some((folder, version)) = parse_key(&object.key) else {
                    tracing::debug!(key = object.key, "not a manifest");
                    continue;
                };
                let listed = Listed { version, modified_ms: object.modified_ms, etag: object.etag };
                listing.entry(folder.to_owned()).or_default().push(listed);
            }
            if page.next_cursor.is_empty() {
                return Ok(listing);
            }
            cursor = page.next_cursor;
        }
    }

    /// What is newer than what is known here: the newest version that can be read, and the newest
    /// one where it cannot.
    async fn newer(&self, name: DatasetName, versions: &[Listed]) -> Result<Option<(DatasetName, Entry)>, Error> {
        let known = self.0.known.entry(&name);
        let Some(newest) = versions.last() else { return Ok(None) };
        if newest.version <= known.version() {
            let poison_is_gone = known.poison.is_some();
            return Ok(poison_is_gone.then_some((name, Entry { poison: None, ..known })));
        }
        if known.poison.as_ref().is_some_and(|p| p.version == newest.version && p.mark == newest.mark()) {
            return Ok(None);
        }
        let mut poison = None;
        for listed in versions.iter().rev().take_while(|listed| listed.version > known.version()) {
            match self.read_manifest(name.as_str(), listed.version).await? {
                Read::Good(manifest) => return Ok(Some((name, Entry { good: Some(manifest), poison }))),
                Read::Gone => {}
                Read::Poison(reason) => {
                    tracing::error!(%name, version = listed.version, reason, "poison manifest");
                    poison.get_or_insert(Poison { version: listed.version, mark: listed.mark(), reason });
                }
            }
        }
        Ok(poison.map(|poison| (name, Entry { good: known.good, poison: Some(poison) })))
    }

    /// Reads a manifest and checks that it is the one of its key.
    ///
    /// # Errors
    /// Storage that fails.
    pub(super) async fn read_manifest(&self, folder: &str, version: u64) -> Result<Read, Error> {
        let key = manifest_key(folder, version);
        let request = GetRequest { key, ..GetRequest::default() };
        let content = match self.0.storage.get(request, self.config().manifest_bytes_max).await {
            Ok(Some((_, content))) => content,
            Ok(None) => return Ok(Read::Gone),
            Err(Error::Storage { problem, .. }) if problem.code == Code::PayloadTooLarge => {
                return Ok(Read::Poison(format!("{} (manifest_bytes_max)", problem.detail)));
            }
            // Storage is there and cannot read this one.
            Err(Error::Storage { problem, .. }) if problem.code == Code::Internal => {
                return Ok(Read::Poison("storage cannot read it".to_owned()));
            }
            Err(error) => return Err(error),
        };
        let decoded = self.0.pool.run(move || codec::decode(content)).await?;
        Ok(match decoded {
            Ok(manifest) if manifest.name.as_str() == folder && manifest.version == version => {
                Read::Good(Arc::new(manifest))
            }
            Ok(manifest) => {
                Read::Poison(format!("it says that it is version {} of {}", manifest.version, manifest.name))
            }
            Err(reason) => Read::Poison(reason),
        })
    }

    /// Tells the operator what is known and what cannot be read.
    pub(super) fn report(&self) {
        let snapshot = self.0.known.snapshot();
        let live = snapshot.datasets.values().filter(|entry| entry.live().is_some()).count();
        let poison: BTreeMap<String, String> = snapshot
            .datasets
            .iter()
            .filter_map(|(name, entry)| entry.poison.as_ref().map(|poison| (name, poison)))
            .map(|(name, poison)| (name.to_string(), format!("version {}: {}", poison.version, poison.reason)))
            .collect();
        self.0.health.set(COMPONENT, Status::Ok, format!("{live} datasets"));
        self.0.metrics.datasets.set(i64::try_from(live).unwrap_or(i64::MAX));
        self.0.metrics.report_poison(&self.0.health, poison);
    }
}

/// `_catalog/manifests/{folder}/{version:020}.parquet`
fn parse_key(key: &str) -> Option<(&str, u64)> {
    let (folder, file) = key.strip_prefix(MANIFESTS)?.split_once('/')?;
    let digits = file.strip_suffix(EXTENSION)?;
    let version = digits.parse().ok().filter(|version| *version > 0)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then_some((folder, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_manifests_are_told_from_others() {
        assert_eq!(parse_key(&manifest_key("workers", 7)), Some(("workers", 7)));
        for key in [
            "_catalog/manifests/workers/7.parquet",
            "_catalog/manifests/workers/00000000000000000000.parquet",
            "_catalog/manifests/workers/+0000000000000000007.parquet",
            "_catalog/manifests/workers/00000000000000000007.json",
            "_catalog/manifests/workers/old/00000000000000000007.parquet",
            "_catalog/other/00000000000000000007.parquet",
        ] {
            assert_eq!(parse_key(key), None, "{key}");
        }
    }
}
