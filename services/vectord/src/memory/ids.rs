//! From an item's id to its key, in shards that are locked for moments.

use std::hash::{DefaultHasher, Hasher};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ann::Key;
use hashbrown::HashTable;
use uuid::Uuid;

use super::records::Records;

/// The shard of an id is the first bits of its hash, so that shards one after the other, each sorted,
/// are all ids in the order of their hashes: the order in which pages of items are read.
const SHARD_BITS: u32 = 8;

/// Invariant: a key that is in here has a record.
pub(super) struct Ids {
    /// Different for every index, so that nobody finds ids that collide everywhere.
    seed: [u8; 16],
    shards: Box<[RwLock<HashTable<Key>>]>,
}

/// Where an id stands among all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    hash: u64,
    id: Box<str>,
}

impl Ids {
    pub(super) fn new(uuid: Uuid) -> Self {
        let shards = (0..1 << SHARD_BITS).map(|_| RwLock::default()).collect();
        Self { seed: uuid.into_bytes(), shards }
    }

    fn hash(&self, id: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.seed);
        hasher.write(id.as_bytes());
        hasher.finish()
    }

    fn read(&self, hash: u64) -> RwLockReadGuard<'_, HashTable<Key>> {
        self.shards[shard(hash)].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, HashTable<Key>> {
        self.shards[shard(hash)].write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, records: &Records, id: &str) -> Option<Key> {
        let hash = self.hash(id);
        self.read(hash).find(hash, |key| is(records, *key, id)).copied()
    }

    /// Sets the key of an id, whose record is there already; the key that it had.
    pub(super) fn set(&self, records: &Records, id: &str, key: Key) -> Option<Key> {
        let hash = self.hash(id);
        let mut table = self.write(hash);
        if let Some(held) = table.find_mut(hash, |key| is(records, *key, id)) {
            return Some(std::mem::replace(held, key));
        }
        table.insert_unique(hash, key, |key| records.peek(*key, |id| self.hash(id)).unwrap_or_default());
        None
    }

    /// The key that the id had; its record is taken out after.
    pub(super) fn remove(&self, records: &Records, id: &str) -> Option<Key> {
        let hash = self.hash(id);
        let mut table = self.write(hash);
        let entry = table.find_entry(hash, |key| is(records, *key, id)).ok()?;
        Some(entry.remove().0)
    }

    pub(super) fn position(&self, id: &str) -> Position {
        Position { hash: self.hash(id), id: id.into() }
    }

    /// Keys behind a position, shard by shard, each shard in order.
    pub(super) fn after<'a>(
        &'a self,
        records: &'a Records,
        after: Option<&'a Position>,
    ) -> impl Iterator<Item = Key> + 'a {
        let first = after.map_or(0, |position| shard(position.hash));
        (first..self.shards.len()).flat_map(move |at| {
            let table = self.shards[at].read().unwrap_or_else(PoisonError::into_inner);
            let placed = table.iter().filter_map(|key| Some((records.peek(*key, |id| self.position(id))?, *key)));
            let mut keys: Vec<_> = placed.filter(|(position, _)| after.is_none_or(|after| position > after)).collect();
            drop(table);
            keys.sort_unstable();
            keys.into_iter().map(|(_, key)| key)
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let tables = self.shards.iter().map(|shard| {
            let table = shard.read().unwrap_or_else(PoisonError::into_inner);
            table.allocation_size() + size_of::<RwLock<HashTable<Key>>>()
        });
        tables.sum()
    }
}

fn shard(hash: u64) -> usize {
    (hash >> (u64::BITS - SHARD_BITS)) as usize
}

fn is(records: &Records, key: Key, id: &str) -> bool {
    records.peek(key, |held| held == id) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Record;

    #[test]
    fn pages_go_through_every_id_once_whatever_comes_and_goes_between() {
        let (ids, records) = (Ids::new(Uuid::nil()), Records::new());
        let add = |key: Key, id: &str| {
            records.set(key, Some(Record::from_parts(id, "")));
            ids.set(&records, id, key)
        };
        for key in 0..5_000 {
            assert_eq!(add(key, &format!("w-{key}")), None);
        }
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page: Vec<Key> = ids.after(&records, after.as_ref()).take(700).collect();
            let Some(last) = page.last() else { break };
            after = records.peek(*last, |id| ids.position(id));
            seen.extend(page);
            // Other keys for the same ids, and ids that were not there.
            let replaced = Key::try_from(10_000 + seen.len()).unwrap();
            assert!(add(replaced, "w-17").is_some());
            add(replaced + 1, &format!("new-{replaced}"));
        }
        let mut known: Vec<_> = seen.iter().filter_map(|key| records.get(*key)).map(|r| r.id().to_owned()).collect();
        known.retain(|id| id.starts_with("w-"));
        known.sort();
        let count = known.len();
        known.dedup();
        assert_eq!((known.len(), count), (5_000, 5_000));
        assert_eq!(ids.remove(&records, "w-3"), Some(3));
        assert_eq!(ids.get(&records, "w-3"), None);
    }
}
