//! The catalog: what is persisted in storage, and what this process knows of it.
//!
//! Invariant: a version is persisted before a reader can see it ([`persist`] creates the manifest,
//! then publishes it). Invariant: nobody holds a lock while something is read or written.

mod gc;
mod intake;
mod known;
mod load;
mod metrics;
mod persist;
mod pool;
mod read;
mod turns;
mod watch;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::{Caller, Health};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use metrics::Metrics;
pub(crate) use read::{Asked, Page, Resolution, Resolved};
pub(crate) use watch::Told;
pub(crate) use write::Registration;

use crate::manifest::Manifest;
use crate::name::DatasetName;
use crate::storage::Storage;
use crate::{Config, Error};
use known::Known;
use pool::Pool;
use turns::Turns;

/// Shared by every handler; cheap to clone.
#[derive(Clone)]
pub(crate) struct Catalog(Arc<Inner>);

struct Inner {
    config: Config,
    storage: Storage,
    known: Known,
    /// Versions that are not the newest, once they were asked for.
    older: moka::sync::Cache<(DatasetName, u64), Arc<Manifest>>,
    pool: Pool,
    turns: Turns,
    watchers: Arc<Semaphore>,
    metrics: Metrics,
    health: Health,
    ready: AtomicBool,
    shutdown: CancellationToken,
}

impl Catalog {
    pub(crate) fn new(
        config: Config,
        storage: Storage,
        metrics: Metrics,
        health: Health,
        shutdown: CancellationToken,
    ) -> Self {
        let older = moka::sync::Cache::builder()
            .max_capacity(config.older_versions_cache_bytes)
            .time_to_live(gc::OLDER_VERSION_KNOWN_FOR)
            .weigher(|_, manifest: &Arc<Manifest>| u32::try_from(manifest.weight_bytes()).unwrap_or(u32::MAX))
            .build();
        Catalog(Arc::new(Inner {
            known: Known::new(config.watch_history_max),
            older,
            pool: Pool::new(config.decoders_max),
            turns: Turns::new(config.writers_waiting_max, config.write_timeout),
            watchers: Arc::new(Semaphore::new(config.watchers_max)),
            ready: AtomicBool::new(false),
            config,
            storage,
            metrics,
            health,
            shutdown,
        }))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// Nothing is answered before everything is loaded: a name that is not known yet is not a
    /// name that is not there.
    fn ready(&self) -> Result<(), Error> {
        if self.0.ready.load(Ordering::Acquire) { Ok(()) } else { Err(Error::Starting) }
    }

    fn may_read(caller: &Caller, name: &DatasetName) -> Result<(), Error> {
        if caller.may_read(name.as_str()) { Ok(()) } else { Err(Error::Forbidden { name: name.clone(), act: "read" }) }
    }

    fn may_write(caller: &Caller, name: &DatasetName) -> Result<(), Error> {
        if caller.may_write(name.as_str()) {
            Ok(())
        } else {
            Err(Error::Forbidden { name: name.clone(), act: "change" })
        }
    }
}

/// Milliseconds since the epoch.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
