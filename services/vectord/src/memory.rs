//! An index's content in this process's memory.
//!
//! Every version of a vector has a key of its own: an upsert adds the item under a new key and takes the
//! old one out after. So a search finds an item as it was or as it is, never the vector of one with the
//! metadata of the other; that it may meet both for a moment is settled when its hits are resolved, and that
//! it may have met neither by a look at what was replaced since (`replaced`).
//!
//! No search waits for a writer. It takes no lock that a writer holds for longer than it takes to change some
//! entries of a table (`table`, `ids`); what its filter needs first is gathered beside writers (`table`); where
//! they outrun it, it is they who wait (`freezes`). A key is given out again only when no search can still
//! hold it (`keys`).

mod content;
mod freezes;
mod frozen;
mod ids;
mod keys;
mod records;
mod replaced;
mod search;
mod table;
#[cfg(test)]
mod tests;
mod write;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ann::hnsw_rs::HnswRs;
use ann::lake::{Lake, Options};
use ann::{Engine, Key};

use crate::Error;
use crate::filter::{Filter, Limits};
use crate::item::{ItemId, Op};
use crate::settings::{EngineKind, Settings};
use crate::store::{Applied, Found, IndexStore, Item, Page, SearchOptions, StoreStats, Target};
use freezes::Freezes;
use ids::Ids;
use keys::Keys;
use records::Records;
use replaced::Replaced;
use table::Table;

/// Vectors linked between two looks whether there is something else to do.
const INDEX_AT_ONCE: usize = 2_048;

/// See the module.
pub(crate) struct MemoryStore {
    settings: Settings,
    threads: usize,
    engine: Box<dyn Engine>,
    keys: Keys,
    records: Records,
    ids: Ids,
    /// Locked for moments.
    table: RwLock<Table>,
    /// Items that are there: what is live in the table, for those who need no more of it.
    count: AtomicUsize,
    replaced: Replaced,
    freezes: Freezes,
    /// Held by whoever changes items, and by whoever writes all of them down. No search takes it.
    writing: Mutex<()>,
    /// Counts the beginnings and ends of changes to metadata in place: odd while there is one.
    metadata_changes: AtomicU64,
    records_bytes: AtomicUsize,
}

impl MemoryStore {
    /// Without items.
    ///
    /// # Errors
    /// Settings that the engine refuses.
    pub(crate) fn new(settings: Settings, limits: Limits, threads: usize) -> Result<Self, Error> {
        let engine = new_engine(&settings, threads)?;
        let ids = Ids::new(settings.uuid);
        Ok(Self {
            settings,
            threads,
            engine,
            keys: Keys::default(),
            records: Records::new(),
            ids,
            table: RwLock::new(Table::new(limits)),
            count: AtomicUsize::new(0),
            replaced: Replaced::default(),
            freezes: Freezes::default(),
            writing: Mutex::new(()),
            metadata_changes: AtomicU64::new(0),
            records_bytes: AtomicUsize::new(0),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn item_of(&self, key: Key, with_vector: bool) -> Option<Item> {
        let record = self.records.get(key)?;
        let vector = if with_vector { Some(self.engine.vector(key)?) } else { None };
        Some(Item { record, vector })
    }

    /// What `read` makes of the key of an id; `None` where there is no such item. The key may be on its way out
    /// when it is read: then `read` gives `None`, and is given one that stays.
    fn at_key<T>(&self, id: &str, read: impl Fn(Key) -> Option<T>) -> Option<T> {
        {
            let _no_key_is_given_out_again = crossbeam_epoch::pin();
            if let Some(found) = read(self.ids.get(&self.records, id)?) {
                return Some(found);
            }
        }
        let _kept = self.freezes.begin();
        read(self.ids.get(&self.records, id)?)
    }
}

fn new_engine(settings: &Settings, threads: usize) -> Result<Box<dyn Engine>, Error> {
    let Settings { metric, dimension, m, ef_construction, .. } = *settings;
    let refused = |error: ann::EngineError| Error::Invalid(error.to_string());
    let options = Options { m, ef_construction, threads };
    Ok(match settings.engine {
        EngineKind::Lake => Box::new(Lake::new(metric, dimension, options).map_err(refused)?),
        EngineKind::HnswRs => Box::new(HnswRs::new(metric, dimension, options).map_err(refused)?),
    })
}

impl IndexStore for MemoryStore {
    fn apply(&self, ops: Vec<Op>) -> Result<Applied, Error> {
        self.apply_ops(ops)
    }

    fn contains(&self, id: &str) -> bool {
        self.ids.get(&self.records, id).is_some()
    }

    fn item(&self, id: &str, with_vector: bool) -> Option<Item> {
        self.at_key(id, |key| self.item_of(key, with_vector))
    }

    fn search(&self, target: &Target, options: &SearchOptions) -> Result<Vec<Found>, Error> {
        self.find(target, options)
    }

    fn scroll(&self, after: Option<&ItemId>, limit: usize, filter: Option<&Filter>, with_vector: bool) -> Page {
        let frozen = self.freeze(filter);
        let after = after.map(|id| self.ids.position(id.as_str()));
        let mut items: Vec<Item> = frozen.items_after(after.as_ref(), with_vector).take(limit + 1).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_after = last.and_then(|item| ItemId::parse(item.record.id().to_owned()).ok());
        Page { items, next_after }
    }

    fn count(&self, filter: Option<&Filter>) -> usize {
        match filter {
            None => self.count.load(Ordering::Acquire),
            Some(filter) => match self.indexed_matches(filter) {
                Some(matches) => matches.len() as usize,
                None => self.freeze(Some(filter)).keys().len() as usize,
            },
        }
    }

    fn matching(&self, filter: &Filter) -> Vec<ItemId> {
        let frozen = self.freeze(Some(filter));
        let id = |key| frozen.record(key).and_then(|record| ItemId::parse(record.id().to_owned()).ok());
        frozen.keys().iter().filter_map(id).collect()
    }

    fn index_some(&self) -> Result<usize, Error> {
        self.engine.index(INDEX_AT_ONCE).map_err(|source| Error::Engine { what: "linking vectors", source })
    }

    fn compact(&self) {
        self.engine.compact();
    }

    fn stats(&self) -> StoreStats {
        let engine = self.engine.stats();
        let count = self.count.load(Ordering::Acquire);
        StoreStats {
            count,
            deleted: engine.deleted,
            unindexed: engine.unindexed,
            segments: usize::from(count > engine.unindexed) + usize::from(engine.unindexed > 0),
            memory_bytes: engine.memory_bytes
                + self.records.memory_bytes()
                + self.records_bytes.load(Ordering::Relaxed)
                + self.ids.memory_bytes()
                + self.read().memory_bytes(),
        }
    }

    fn reachable(&self) -> usize {
        self.engine.reachable()
    }

    fn save(&self, to: &mut dyn Write) -> Result<(), Error> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_content(to)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<(), Error> {
        self.read_content(from)
    }
}
