//! All indexes of this service, by name: what the API calls.
//!
//! An index is found while others are still being loaded; one that cannot be loaded is reported and takes
//! nothing else with it. Names and aliases share one space.

mod aliases;
mod items;
mod load;
mod storage;
mod texts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use kit::grpc::PeerChannel;
use kit::{Caller, Health, Pool};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Error;
use crate::config::Config;
use crate::embedder::Embedder;
use crate::follow::{self, Datasets, follow};
use crate::imports::Imports;
use crate::index::{Index, IndexInfo, Shared, remove_folder};
use crate::metrics::Metrics;
use crate::name::IndexName;
use crate::settings::{NewIndex, Settings, SettingsMax};
use storage::Storage;

pub(crate) use items::{Answers, NewScroll, NewSearch, NewTarget, Which};

/// Snapshots that wait to be copied to storage.
const SNAPSHOTS_WAITING_MAX: usize = 256;

/// Where an index stands.
#[derive(Clone)]
enum State {
    Loading,
    Ready(Arc<Index>),
    /// Why it could not be loaded.
    Broken(String),
}

/// What names mean now: replaced as a whole, so that a reader sees one moment.
#[derive(Clone, Default)]
struct Names {
    indexes: BTreeMap<IndexName, State>,
    /// Alias to index.
    aliases: BTreeMap<IndexName, IndexName>,
}

struct Inner {
    names: ArcSwap<Names>,
    /// Held by whoever changes what names mean.
    naming: tokio::sync::Mutex<()>,
    swapping: Mutex<()>,
    shared: Shared,
    health: Health,
    storage: Option<Storage>,
    imports: Imports,
    queryd: PeerChannel,
    catalogd: PeerChannel,
    embedder: Embedder,
    datasets: Datasets,
    /// Those that bring a version in have a permit.
    follows: Arc<Semaphore>,
    /// Bodies of adds that are read and checked.
    batches: Pool,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Indexes(Arc<Inner>);

/// One entry of the list.
pub(crate) enum Listed {
    Ready(Box<IndexInfo>),
    Loading(IndexName),
    Broken(IndexName, String),
}

impl Indexes {
    /// Knows nothing yet: see [`Indexes::load`]. Who takes snapshots tells through the channel.
    ///
    /// # Errors
    /// Addresses of peers that are none.
    pub(crate) fn new(
        config: Config,
        metrics: Metrics,
        health: Health,
        stopping: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<(Self, mpsc::Receiver<Arc<Index>>), tonic::transport::Error> {
        let config = Arc::new(config);
        let storage = if config.storage_snapshots { Some(Storage::connect(&config)?) } else { None };
        let queryd = kit::grpc::channel(&config.queryd_url)?;
        let catalogd = kit::grpc::channel(&config.catalogd_url)?;
        let datasets = Datasets::new(catalogd.clone(), &config, health.clone());
        let follows = Arc::new(Semaphore::new(config.follows_at_once_max));
        let embedder = Embedder::new(kit::grpc::channel(&config.embedd_url)?);
        let searches = Pool::new(
            Config::threads(config.search_threads, 1),
            config.searches_waiting_max,
            "searches",
            "searches_waiting_max",
        );
        let maintenance = Pool::new(Config::threads(config.maintenance_threads, 2), usize::MAX, "maintenance", "");
        let batches = Pool::new(Config::threads(0, 1), config.batches_at_once_max, "batches", "batches_at_once_max");
        let (snapshots_taken, taken) = mpsc::channel(SNAPSHOTS_WAITING_MAX);
        let shared = Shared {
            snapshots_taken,
            config: config.clone(),
            searches,
            maintenance,
            metrics: Arc::new(metrics),
            stopping,
            tasks,
            memory_bytes: Arc::new(AtomicUsize::new(0)),
        };
        let imports = Imports::new(&config);
        let indexes = Indexes(Arc::new(Inner {
            names: ArcSwap::default(),
            naming: tokio::sync::Mutex::new(()),
            swapping: Mutex::new(()),
            shared,
            health,
            storage,
            imports,
            queryd,
            catalogd,
            embedder,
            datasets,
            follows,
            batches,
        }));
        Ok((indexes, taken))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.shared.config
    }

    /// For parsing what is long.
    pub(crate) fn batches(&self) -> &Pool {
        &self.0.batches
    }

    pub(crate) fn imports_kept(&self) -> &Imports {
        &self.0.imports
    }

    pub(crate) fn queryd(&self) -> PeerChannel {
        self.0.queryd.clone()
    }

    pub(crate) fn catalogd(&self) -> PeerChannel {
        self.0.catalogd.clone()
    }

    pub(crate) fn datasets(&self) -> &Datasets {
        &self.0.datasets
    }

    pub(crate) fn follows(&self) -> Arc<Semaphore> {
        self.0.follows.clone()
    }

    pub(crate) fn maintenance(&self) -> &Pool {
        &self.0.shared.maintenance
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.shared.metrics
    }

    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.shared.stopping
    }

    /// Runs in the background; the end of the service waits for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.shared.tasks.spawn(work);
    }

    fn folder(&self, name: &IndexName) -> PathBuf {
        self.config().data_dir.join("indexes").join(name.as_str())
    }

    fn swap(&self, change: impl FnOnce(&mut Names)) {
        let _alone: MutexGuard<'_, ()> = self.0.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = (**self.0.names.load()).clone();
        change(&mut names);
        self.0.shared.metrics.indexes.set(names.indexes.len() as i64);
        self.0.names.store(Arc::new(names));
    }

    /// The index that a name or an alias means, and the name it is kept under.
    fn state(&self, raw: &str) -> Result<(IndexName, State), Error> {
        let name = IndexName::parse(raw)?;
        let names = self.0.names.load();
        let name = names.aliases.get(&name).cloned().unwrap_or(name);
        match names.indexes.get(&name) {
            Some(state) => Ok((name, state.clone())),
            None => Err(Error::NoIndex(raw.to_owned())),
        }
    }

    fn ready(&self, raw: &str) -> Result<Arc<Index>, Error> {
        match self.state(raw)? {
            (_, State::Ready(index)) => Ok(index),
            (name, State::Loading) => Err(Error::Loading(name)),
            (name, State::Broken(reason)) => Err(Error::Broken { name, reason }),
        }
    }

    pub(crate) fn to_read(&self, caller: &Caller, raw: &str) -> Result<Arc<Index>, Error> {
        self.may_read(caller, raw)?;
        self.ready(raw)
    }

    pub(crate) fn to_write(&self, caller: &Caller, raw: &str) -> Result<Arc<Index>, Error> {
        self.may_write(caller, raw)?;
        self.ready(raw)
    }

    /// To put items in or take them out, which is nobody's business but its dataset's where it follows one.
    pub(crate) fn to_fill(&self, caller: &Caller, raw: &str) -> Result<Arc<Index>, Error> {
        let index = self.to_write(caller, raw)?;
        match &index.settings.source {
            None => Ok(index),
            Some(source) => Err(Error::Follows { index: index.settings.name.clone(), dataset: source.dataset.clone() }),
        }
    }

    /// A grant on an alias is one on what it means.
    fn may_read(&self, caller: &Caller, raw: &str) -> Result<(), Error> {
        let meant = self.state(raw).map(|(name, _)| name);
        if caller.may_read(raw) || meant.is_ok_and(|name| caller.may_read(name.as_str())) {
            return Ok(());
        }
        // Whether it is there is none of the caller's business.
        Err(Error::NoIndex(raw.to_owned()))
    }

    fn may_write(&self, caller: &Caller, raw: &str) -> Result<(), Error> {
        self.may_read(caller, raw)?;
        let meant = self.state(raw).map(|(name, _)| name);
        if caller.may_write(raw) || meant.is_ok_and(|name| caller.may_write(name.as_str())) {
            return Ok(());
        }
        Err(Error::Forbidden { name: raw.to_owned(), act: "change" })
    }

    /// # Errors
    /// A name that is taken; settings out of range; too many; a model that is not there.
    pub(crate) async fn create(&self, caller: &Caller, asked: NewIndex) -> Result<IndexInfo, Error> {
        let config = self.config();
        if !caller.may_write(asked.name.as_str()) {
            return Err(Error::Forbidden { name: asked.name.to_string(), act: "create" });
        }
        self.free(&asked.name)?;
        let model = self.model(caller, &asked).await?;
        if let Some(source) = &asked.source {
            self.check_source(caller, source).await?;
        }
        let asked = NewIndex { engine: asked.engine.or(Some(config.engine)), ..asked };
        let max = SettingsMax { dimension: config.dimension_max, ef: config.ef_max };
        let settings = Settings::new(asked, model, max, crate::index::now_ms())?;
        let name = settings.name.clone();
        let _naming = self.0.naming.lock().await;
        self.free(&name)?;
        let (folder, shared) = (self.folder(&name), self.0.shared.clone());
        let created = self.0.shared.maintenance.run(move || Index::create(settings, folder, shared)).await??;
        let info = created.info();
        self.swap(|names| drop(names.indexes.insert(name, State::Ready(created.clone()))));
        follow(self, &created);
        Ok(info)
    }

    /// # Errors
    /// A name that is taken; as many indexes as there may be.
    fn free(&self, name: &IndexName) -> Result<(), Error> {
        let names = self.0.names.load();
        if names.indexes.contains_key(name) {
            return Err(Error::IndexExists(name.clone()));
        }
        if names.aliases.contains_key(name) {
            return Err(Error::IsAlias(name.clone()));
        }
        let (count, limit) = (names.indexes.len() + 1, self.config().indexes_max);
        if count > limit {
            return Err(Error::TooMany { what: "indexes", count, limit, config_key: "indexes_max" });
        }
        Ok(())
    }

    /// What the caller may read, by name, behind `after`.
    ///
    /// # Errors
    /// A limit beyond `list_limit_max`.
    pub(crate) fn list(
        &self,
        caller: &Caller,
        limit: usize,
        after: &str,
    ) -> Result<(Vec<Listed>, Option<String>), Error> {
        let names = self.0.names.load();
        let limit = self.limit(limit)?;
        let mut readable =
            names.indexes.iter().filter(|(name, _)| name.as_str() > after && caller.may_read(name.as_str()));
        let page: Vec<_> = readable.by_ref().take(limit).collect();
        let next = if readable.next().is_some() { page.last().map(|(name, _)| name.to_string()) } else { None };
        let listed = page.into_iter().map(|(name, state)| match state {
            State::Ready(index) => Listed::Ready(Box::new(index.info())),
            State::Loading => Listed::Loading(name.clone()),
            State::Broken(reason) => Listed::Broken(name.clone(), reason.clone()),
        });
        Ok((listed.collect(), next))
    }

    /// 0: the default.
    fn limit(&self, asked: usize) -> Result<usize, Error> {
        let Config { list_limit_default, list_limit_max, .. } = *self.config();
        match asked {
            0 => Ok(list_limit_default.min(list_limit_max)),
            asked if asked <= list_limit_max => Ok(asked),
            asked => Err(Error::Invalid(format!("limit: {asked} exceeds {list_limit_max} (list_limit_max)"))),
        }
    }

    /// # Errors
    /// No such index; one that is not loaded.
    pub(crate) fn info(&self, caller: &Caller, name: &str) -> Result<IndexInfo, Error> {
        Ok(self.to_read(caller, name)?.info())
    }

    /// Deletes an index, one that cannot be loaded too. An alias is not followed.
    ///
    /// # Errors
    /// No such index.
    pub(crate) async fn delete_index(&self, caller: &Caller, raw: &str) -> Result<(), Error> {
        self.may_write(caller, raw)?;
        let name = IndexName::parse(raw)?;
        let _naming = self.0.naming.lock().await;
        let state = self.0.names.load().indexes.get(&name).cloned();
        match state {
            None if self.0.names.load().aliases.contains_key(&name) => return Err(Error::IsAlias(name)),
            None => return Err(Error::NoIndex(raw.to_owned())),
            Some(State::Loading) => return Err(Error::Loading(name)),
            Some(State::Ready(index)) => {
                self.forget_in_storage(&index.settings.name, index.settings.uuid).await?;
                index.removed.cancel();
                // Once the writer is had, nothing is written any more.
                let _last_write = index.write_no_more().await;
                self.remove(&name).await?;
            }
            Some(State::Broken(_)) => self.remove(&name).await?,
        }
        self.0.health.remove(&load::component(&name));
        self.0.health.remove(&follow::component(name.as_str()));
        self.0.shared.metrics.forget(name.as_str());
        self.0.imports.forget_index(name.as_str());
        let dangling = |names: &mut Names| {
            names.indexes.remove(&name);
            names.aliases.retain(|_, index| *index != name);
        };
        self.swap(dangling);
        self.save_aliases().await
    }

    async fn remove(&self, name: &IndexName) -> Result<(), Error> {
        let folder = self.folder(name);
        let removed = self.0.shared.maintenance.run(move || remove_folder(&folder)).await?;
        removed.map_err(|source| Error::Io { what: "removing an index", source })
    }

    /// Takes a snapshot, which is copied to storage after; what the index is like then.
    ///
    /// # Errors
    /// What writing met.
    pub(crate) async fn snapshot(&self, caller: &Caller, name: &str) -> Result<IndexInfo, Error> {
        let index = self.to_write(caller, name)?;
        index.snapshot().await?;
        Ok(index.info())
    }

    /// Reclaims what deletes have left; what the index is like then.
    ///
    /// # Errors
    /// No such index.
    pub(crate) async fn compact(&self, caller: &Caller, name: &str) -> Result<IndexInfo, Error> {
        let index = self.to_write(caller, name)?;
        index.compact().await?;
        Ok(index.info())
    }
}
