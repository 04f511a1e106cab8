//! The first tier: vectors in this process's memory.

use std::sync::Arc;

use moka::notification::RemovalCause;
use moka::sync::Cache;

use crate::embedding::{Embedding, Key};
use crate::stats::Recent;

/// What an entry takes besides its vector: key, links, counters.
const ENTRY_BYTES: u64 = 256;
/// The weight of an entry of an average share of the bytes: fine enough for others to be told apart.
const SHARE: u64 = 1 << 16;

/// Bounded by entries and by bytes at once.
///
/// The cache knows one bound, so an entry weighs the share that it takes of the bound it is nearer to: at least
/// one of `entries_max`, more where it is larger than its share of `bytes_max`. So neither is ever exceeded, but
/// for the moment in which moka's housekeeping has not run.
pub(crate) struct Tier1 {
    /// `None`: switched off.
    cache: Option<Cache<Key, Embedding>>,
    entries_max: u64,
    evicted: Arc<Recent>,
}

impl Tier1 {
    /// `entries_max` 0 switches it off.
    pub(crate) fn new(entries_max: usize, bytes_max: usize) -> Self {
        let (entries_max, bytes_max) = (entries_max as u64, bytes_max as u64);
        let evicted = Arc::new(Recent::new());
        let cache = (entries_max > 0).then(|| {
            let counted = evicted.clone();
            Cache::builder()
                .max_capacity(entries_max.saturating_mul(SHARE))
                .weigher(move |_, entry: &Embedding| weight(bytes(entry), entries_max, bytes_max))
                .eviction_listener(move |_, _, cause| {
                    if cause == RemovalCause::Size {
                        counted.add(1);
                    }
                })
                .build()
        });
        Tier1 { cache, entries_max, evicted }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Embedding> {
        self.cache.as_ref()?.get(key)
    }

    pub(crate) fn insert(&self, key: Key, embedding: Embedding) {
        if let Some(cache) = &self.cache {
            cache.insert(key, embedding);
        }
    }

    /// Entries there are.
    pub(crate) fn size(&self) -> u64 {
        self.cache.as_ref().map_or(0, |cache| {
            cache.run_pending_tasks();
            cache.entry_count()
        })
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.entries_max
    }

    /// Entries that went to make room.
    pub(crate) fn evicted(&self) -> &Recent {
        &self.evicted
    }

    /// Everything that is kept.
    pub(crate) fn entries(&self) -> Vec<(Key, Embedding)> {
        let all = self.cache.iter().flat_map(Cache::iter);
        all.map(|(key, embedding)| (*key, embedding)).collect()
    }
}

fn bytes(entry: &Embedding) -> u64 {
    size_of_val(&*entry.vector) as u64 + ENTRY_BYTES
}

fn weight(bytes: u64, entries_max: u64, bytes_max: u64) -> u32 {
    let of_bytes = (u128::from(bytes) * u128::from(entries_max)).saturating_mul(u128::from(SHARE));
    let share = of_bytes.div_ceil(u128::from(bytes_max.max(1))).max(u128::from(SHARE));
    u32::try_from(share).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::embedding::Fingerprint;

    fn key(n: u64) -> Key {
        let mut text = [0; 32];
        text[..8].copy_from_slice(&n.to_le_bytes());
        Key { model: Fingerprint([0; 32]), text }
    }

    fn entry(n: u64, dimension: usize) -> Embedding {
        Embedding { tokens: n as u32, vector: vec![n as f32; dimension].into() }
    }

    #[test]
    fn of_nothing_it_keeps_nothing() {
        let off = Tier1::new(0, 1 << 20);
        off.insert(key(1), entry(1, 4));
        assert_eq!((off.get(&key(1)), off.size()), (None, 0));
    }

    #[test]
    fn neither_entries_nor_bytes_exceed_their_bound() {
        let by_entries = Tier1::new(10, 1 << 20);
        (0..100).for_each(|n| by_entries.insert(key(n), entry(n, 4)));
        assert_eq!(by_entries.size(), 10);
        assert_eq!(by_entries.evicted().total(), 90);
        // Room for 100 entries, and bytes for 16 of these.
        let by_bytes = Tier1::new(100, 16 * (4 * 64 + ENTRY_BYTES as usize));
        (0..100).for_each(|n| by_bytes.insert(key(n), entry(n, 64)));
        assert_eq!(by_bytes.size(), 16);
    }

    #[test]
    fn an_average_share_weighs_one_and_a_large_entry_what_it_takes() {
        assert_eq!(weight(1, 10_000, 256 << 20), SHARE as u32);
        assert_eq!(weight(1_024, 1_024, 1 << 20), SHARE as u32);
        assert_eq!(weight(2_048, 1_024, 1 << 20), 2 * SHARE as u32);
        assert_eq!(weight(u64::MAX, u64::MAX, 1), u32::MAX);
    }

    proptest! {
        /// Against a map that forgets nothing: what is found is what was put there last, and what is small
        /// enough is all there.
        #[test]
        fn it_answers_what_was_put_there(
            steps in prop::collection::vec((0_u64..40, any::<bool>(), 1_usize..20), 0..200),
            entries_max in 1_usize..60,
        ) {
            let (cache, mut model) = (Tier1::new(entries_max, 1 << 30), HashMap::new());
            for (step, (n, write, dimension)) in steps.into_iter().enumerate() {
                if write {
                    let made = entry(step as u64, dimension);
                    cache.insert(key(n), made.clone());
                    model.insert(n, made);
                } else if let Some(found) = cache.get(&key(n)) {
                    prop_assert_eq!(Some(&found), model.get(&n));
                }
            }
            let size = cache.size();
            prop_assert!(size <= entries_max as u64);
            if model.len() <= entries_max {
                prop_assert_eq!(size, model.len() as u64);
                for (n, made) in &model {
                    let found = cache.get(&key(*n));
                    prop_assert_eq!(found.as_ref(), Some(made));
                }
            }
        }
    }
}
