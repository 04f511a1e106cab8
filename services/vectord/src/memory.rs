//! An index's content in this process's memory.
//!
//! Every version of a vector has a key of its own: an upsert adds the item under a new key and takes the
//! old one out after. So a search finds an item as it was or as it is, never the vector of one with the
//! metadata of the other; that it may meet both for a moment is settled when its hits are resolved.
//!
//! Searches take no lock that a writer holds for longer than it takes to change a table; a key is given
//! out again only when no search can still hold it (`keys`).

mod content;
mod ids;
mod keys;
mod records;
mod search;
#[cfg(test)]
mod tests;
mod write;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ann::hnsw_rs::HnswRs;
use ann::lake::{Lake, Options};
use ann::{Engine, Key};
use roaring::RoaringBitmap;

use crate::Error;
use crate::filter::{Fields, Filter, Limits};
use crate::item::{ItemId, Op};
use crate::settings::{EngineKind, Settings};
use crate::store::{Applied, Found, IndexStore, Item, Page, SearchOptions, StoreStats, Target};
use ids::{Ids, Position};
use keys::Keys;
use records::Records;

/// Vectors linked between two looks whether there is something else to do.
const INDEX_AT_ONCE: usize = 2_048;
/// Where one in so many items matches, or fewer, the matches of a scroll are sorted instead of all items
/// looked through.
const SORTED_MATCHES_SHARE: u64 = 64;

/// What filters are answered from.
struct Filtered {
    fields: Fields,
    live: RoaringBitmap,
}

/// See the module.
pub(crate) struct MemoryStore {
    settings: Settings,
    threads: usize,
    engine: Box<dyn Engine>,
    keys: Keys,
    records: Records,
    ids: Ids,
    filtered: RwLock<Filtered>,
    /// Held by whoever changes items, and by whoever must see all of them as they are.
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
            filtered: RwLock::new(Filtered { fields: Fields::new(limits), live: RoaringBitmap::new() }),
            writing: Mutex::new(()),
            metadata_changes: AtomicU64::new(0),
            records_bytes: AtomicUsize::new(0),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Filtered> {
        self.filtered.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Filtered> {
        self.filtered.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn item_of(&self, key: Key, with_vector: bool) -> Option<Item> {
        let record = self.records.get(key)?;
        let vector = if with_vector { Some(self.engine.vector(key)?) } else { None };
        Some(Item { record, vector })
    }

    /// Keys behind a position that match, in the order of pages.
    fn keys_after<'a>(
        &'a self,
        after: Option<&'a Position>,
        matches: Option<&'a RoaringBitmap>,
    ) -> Box<dyn Iterator<Item = Key> + 'a> {
        match matches {
            Some(matches) if matches.len() * SORTED_MATCHES_SHARE <= self.read().live.len() => {
                let position = |key| Some((self.records.peek(key, |id| self.ids.position(id))?, key));
                let mut placed: Vec<_> = matches.iter().filter_map(position).collect();
                placed.retain(|(position, _)| after.is_none_or(|after| position > after));
                placed.sort_unstable();
                Box::new(placed.into_iter().map(|(_, key)| key))
            }
            Some(matches) => Box::new(self.ids.after(&self.records, after).filter(|key| matches.contains(*key))),
            None => Box::new(self.ids.after(&self.records, after)),
        }
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
        let _no_key_is_given_out_again = crossbeam_epoch::pin();
        loop {
            let key = self.ids.get(&self.records, id)?;
            // Taken out between the two: it has another key, or none.
            if let Some(item) = self.item_of(key, with_vector) {
                return Some(item);
            }
        }
    }

    fn search(&self, target: &Target, options: &SearchOptions) -> Result<Vec<Found>, Error> {
        self.find(target, options)
    }

    fn scroll(&self, after: Option<&ItemId>, limit: usize, filter: Option<&Filter>, with_vector: bool) -> Page {
        let _no_key_is_given_out_again = crossbeam_epoch::pin();
        let matches = filter.map(|filter| self.matches(filter));
        let after = after.map(|id| self.ids.position(id.as_str()));
        let mut items: Vec<Item> = self
            .keys_after(after.as_ref(), matches.as_ref())
            .filter_map(|key| self.item_of(key, with_vector))
            .take(limit + 1)
            .collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_after = last.and_then(|item| ItemId::parse(item.record.id().to_owned()).ok());
        Page { items, next_after }
    }

    fn count(&self, filter: Option<&Filter>) -> usize {
        match filter {
            None => self.read().live.len() as usize,
            Some(filter) => self.matches(filter).len() as usize,
        }
    }

    fn matching(&self, filter: &Filter) -> Vec<ItemId> {
        let _no_key_is_given_out_again = crossbeam_epoch::pin();
        let matches = self.matches(filter);
        let id = |key| self.records.peek(key, str::to_owned).and_then(|id| ItemId::parse(id).ok());
        matches.iter().filter_map(id).collect()
    }

    fn index_some(&self) -> Result<usize, Error> {
        self.engine.index(INDEX_AT_ONCE).map_err(|source| Error::Engine { what: "linking vectors", source })
    }

    fn compact(&self) {
        self.engine.compact();
    }

    fn stats(&self) -> StoreStats {
        let engine = self.engine.stats();
        let (count, fields_bytes) = {
            let filtered = self.read();
            let live_bytes = filtered.live.serialized_size();
            (filtered.live.len() as usize, filtered.fields.memory_bytes() + live_bytes)
        };
        StoreStats {
            count,
            deleted: engine.deleted,
            unindexed: engine.unindexed,
            segments: usize::from(count > engine.unindexed) + usize::from(engine.unindexed > 0),
            memory_bytes: engine.memory_bytes
                + self.records.memory_bytes()
                + self.records_bytes.load(Ordering::Relaxed)
                + self.ids.memory_bytes()
                + fields_bytes,
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
