//! Changing items.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use ann::{Key, Vector};

use super::MemoryStore;
use crate::Error;
use crate::item::{ItemId, Metadata, Op, Put, Record};
use crate::store::Applied;

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
        let inserted = prepared.and_then(|()| self.insert(&fresh, &vectors));
        if let Err(error) = inserted {
            self.withdraw(fresh.into_iter().map(|fresh| fresh.key).collect());
            return Err(error);
        }
        let mut replaced = Vec::new();
        for Fresh { id, key, .. } in &fresh {
            replaced.extend(self.ids.set(&self.records, id.as_str(), *key));
        }
        applied.added += fresh.len() - replaced.len();
        applied.updated += replaced.len();
        self.engine.delete(&replaced);
        self.withdraw(replaced);
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

    fn insert(&self, fresh: &[Fresh], vectors: &[(Key, Vector)]) -> Result<(), Error> {
        {
            let mut filtered = self.write();
            for Fresh { key, metadata, .. } in fresh {
                filtered.live.insert(*key);
                filtered.fields.insert(*key, metadata);
            }
        }
        match self.engine.insert(vectors) {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Engine { what: "adding vectors", source }),
        }
    }

    /// Changes the metadata alone; whether the item is there.
    fn describe(&self, id: &ItemId, metadata: Option<Metadata>) -> bool {
        let Some(key) = self.ids.get(&self.records, id.as_str()) else { return false };
        let (Some(metadata), Some(held)) = (metadata, self.records.get(key)) else { return true };
        self.metadata_changes.fetch_add(1, Ordering::AcqRel);
        {
            let mut filtered = self.write();
            filtered.fields.remove(key, &held.metadata());
            filtered.fields.insert(key, &metadata);
            self.set_record(key, Some(Record::new(id.as_str(), &metadata)));
        }
        self.metadata_changes.fetch_add(1, Ordering::AcqRel);
        true
    }

    fn delete(&self, ids: Vec<ItemId>, applied: &mut Applied) {
        let keys: Vec<Key> = ids.iter().filter_map(|id| self.ids.remove(&self.records, id.as_str())).collect();
        applied.deleted += keys.len();
        self.engine.delete(&keys);
        self.withdraw(keys);
    }

    /// Takes out what nothing leads to any more.
    fn withdraw(&self, keys: Vec<Key>) {
        if keys.is_empty() {
            return;
        }
        {
            let mut filtered = self.write();
            let described = filtered.fields.paths().next().is_some();
            for key in &keys {
                filtered.live.remove(*key);
                if let Some(record) = self.records.get(*key).filter(|_| described) {
                    filtered.fields.remove(*key, &record.metadata());
                }
            }
        }
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
