//! Changing items.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use ann::{Key, Vector};

use super::MemoryStore;
use crate::Error;
use crate::item::{ItemId, Metadata, Op, Put, Record};
use crate::store::Applied;

/// Items changed in the table before whoever waits for it has it.
const CHANGES_AT_ONCE: usize = 64;

/// An item under its new key.
struct Fresh {
    id: ItemId,
    key: Key,
    metadata: Metadata,
}

impl MemoryStore {
    pub(super) fn apply_ops(&self, ops: Vec<Op>) -> Result<Applied, Error> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut applied = Applied::default();
        let mut puts = Vec::new();
        let mut deletes = Vec::new();
        for op in ops {
            match op {
                Op::Put(put) => {
                    self.delete(std::mem::take(&mut deletes), &mut applied);
                    puts.push(put);
                }
                Op::Delete(id) => {
                    self.put(std::mem::take(&mut puts), &mut applied)?;
                    deletes.push(id);
                }
            }
        }
        self.put(puts, &mut applied)?;
        self.delete(deletes, &mut applied);
        Ok(applied)
    }

    fn put(&self, puts: Vec<Put>, applied: &mut Applied) -> Result<(), Error> {
        let mut fresh = Vec::with_capacity(puts.len());
        let mut vectors = Vec::with_capacity(puts.len());
        let prepared = puts.into_iter().try_for_each(|put| {
            match put.vector {
                Some(vector) => vectors.push(self.prepare(put.id, vector, put.metadata, &mut fresh)?),
                None => applied.updated += usize::from(self.describe(&put.id, put.metadata)),
            }
            Ok(())
        });
        let inserted = prepared.and_then(|()| match self.engine.insert(&vectors) {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Engine { what: "adding vectors", source }),
        });
        if let Err(error) = inserted {
            self.give_back(fresh.into_iter().map(|fresh| fresh.key).collect());
            return Err(error);
        }
        let replaced: Vec<Key> = fresh.chunks(CHANGES_AT_ONCE).flat_map(|part| self.publish(part)).collect();
        applied.added += fresh.len() - replaced.len();
        applied.updated += replaced.len();
        self.take_out(replaced);
        Ok(())
    }

    /// Gives the item a key and a record, which nothing leads to yet.
    fn prepare(
        &self,
        id: ItemId,
        vector: Vector,
        metadata: Option<Metadata>,
        fresh: &mut Vec<Fresh>,
    ) -> Result<(Key, Vector), Error> {
        let metadata = metadata.unwrap_or_else(|| {
            let held = self.ids.get(&self.records, id.as_str()).and_then(|key| self.records.get(key));
            held.map(|record| record.metadata()).unwrap_or_default()
        });
        let key = self.keys.take()?;
        self.set_record(key, Some(Record::new(id.as_str(), &metadata)));
        fresh.push(Fresh { id, key, metadata });
        Ok((key, vector))
    }

    /// From here on items are found under their new keys, by ids and by filters, and no more under the ones they
    /// had: which these were.
    fn publish(&self, part: &[Fresh]) -> Vec<Key> {
        let before = part.iter().map(|fresh| self.ids.set(&self.records, fresh.id.as_str(), fresh.key));
        let before: Vec<Option<(Key, Metadata)>> = self.described(before).collect();
        let mut table = self.write();
        self.replaced.note(part.iter().zip(&before).filter(|(_, before)| before.is_some()).map(|(fresh, _)| fresh.key));
        for (Fresh { key, metadata, .. }, before) in part.iter().zip(&before) {
            if let Some((before, metadata)) = before {
                table.remove(*before, metadata);
            }
            table.insert(*key, metadata);
        }
        self.count.store(table.live().len() as usize, Ordering::Release);
        drop(table);
        before.into_iter().flatten().map(|(key, _)| key).collect()
    }

    /// Changes the metadata alone; whether the item is there.
    fn describe(&self, id: &ItemId, metadata: Option<Metadata>) -> bool {
        let Some(key) = self.ids.get(&self.records, id.as_str()) else { return false };
        let (Some(metadata), Some(held)) = (metadata, self.records.get(key)) else { return true };
        let (before, after) = (held.metadata(), Record::new(id.as_str(), &metadata));
        self.metadata_changes.fetch_add(1, Ordering::AcqRel);
        {
            let mut table = self.write();
            table.change(key, &before, &metadata);
            self.freezes.keep(key, held);
            self.set_record(key, Some(after));
        }
        self.metadata_changes.fetch_add(1, Ordering::AcqRel);
        true
    }

    fn delete(&self, ids: Vec<ItemId>, applied: &mut Applied) {
        let keys: Vec<Key> = ids.iter().filter_map(|id| self.ids.remove(&self.records, id.as_str())).collect();
        applied.deleted += keys.len();
        for part in keys.chunks(CHANGES_AT_ONCE) {
            let described: Vec<(Key, Metadata)> = self.described(part.iter().map(|key| Some(*key))).flatten().collect();
            let mut table = self.write();
            described.iter().for_each(|(key, metadata)| table.remove(*key, metadata));
            self.count.store(table.live().len() as usize, Ordering::Release);
        }
        self.take_out(keys);
    }

    /// Keys with the metadata of their items: read outside of the table's lock.
    fn described(&self, keys: impl Iterator<Item = Option<Key>>) -> impl Iterator<Item = Option<(Key, Metadata)>> {
        let metadata = |key| self.records.get(key).map(|record| record.metadata()).unwrap_or_default();
        keys.map(move |key| key.map(|key| (key, metadata(key))))
    }

    /// Takes out what nothing leads to any more, once nobody can answer it.
    fn take_out(&self, keys: Vec<Key>) {
        if keys.is_empty() {
            return;
        }
        self.freezes.wait_for_earlier();
        self.engine.delete(&keys);
        self.give_back(keys);
    }

    fn give_back(&self, keys: Vec<Key>) {
        let guard = crossbeam_epoch::pin();
        for key in keys {
            self.set_record(key, None);
            self.keys.give_back(key, &guard);
        }
        guard.flush();
    }

    pub(super) fn set_record(&self, key: Key, record: Option<Record>) {
        let bytes = |record: &Record| record.memory_bytes();
        let before = self.records.get(key).as_ref().map_or(0, bytes);
        let after = record.as_ref().map_or(0, bytes);
        self.records.set(key, record);
        self.records_bytes.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}
