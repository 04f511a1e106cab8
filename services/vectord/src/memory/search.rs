//! Finding items.

use std::cmp::Ordering as Order;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use ann::{Hit, Search, Vector};
use roaring::RoaringBitmap;

use super::MemoryStore;
use crate::Error;
use crate::filter::{Cover, Filter};
use crate::item::ItemId;
use crate::settings::score;
use crate::store::{Found, SearchOptions, Target};

/// Times that a search is begun again because items that it found changed under it.
const ATTEMPTS_MAX: usize = 8;

impl MemoryStore {
    pub(super) fn find(&self, target: &Target, options: &SearchOptions) -> Result<Vec<Found>, Error> {
        let mut hits = Vec::with_capacity(options.k.saturating_add(64));
        for attempt in 1..ATTEMPTS_MAX {
            if let (found, true) = self.attempt(target, options, attempt > 1, None, &mut hits)? {
                return Ok(found);
            }
        }
        // Whoever was outrun by writers so often has them wait for once.
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.attempt(target, options, false, Some(&writing), &mut hits)?.0)
    }

    /// Searches once; and whether there are as many answers as there would be without writers.
    fn attempt(
        &self,
        target: &Target,
        options: &SearchOptions,
        is_repeated: bool,
        writing: Option<&MutexGuard<'_, ()>>,
        hits: &mut Vec<Hit>,
    ) -> Result<(Vec<Found>, bool), Error> {
        let _no_key_is_given_out_again = crossbeam_epoch::pin();
        let changes = self.metadata_changes.load(Ordering::Acquire);
        let of_item;
        let vector = match target {
            Target::Vector(vector) => vector,
            Target::Item(id) => {
                of_item = self.vector_of(id)?;
                &of_item
            }
        };
        let filter = options.filter.as_ref().map(|filter| match writing {
            Some(writing) => self.matches_alone(filter, writing),
            None => self.matches(filter),
        });
        let matching = filter.as_ref().map_or_else(|| self.read().live.len(), RoaringBitmap::len);
        let SearchOptions { k, ef, exact, .. } = *options;
        // An item under replacement takes two places, so twice as many hits are enough in the end.
        let k = if is_repeated { k.saturating_mul(2) } else { k };
        let search = Search { vector, k, ef, filter: filter.as_ref(), exact };
        hits.clear();
        self.engine.search(&search, hits).map_err(|source| Error::Engine { what: "searching", source })?;
        Ok(self.resolve(hits, options, matching, changes))
    }

    fn vector_of(&self, id: &ItemId) -> Result<Vector, Error> {
        let gone = || Error::NoItem { index: self.settings.name.clone(), id: id.as_str().to_owned() };
        let key = self.ids.get(&self.records, id.as_str()).ok_or_else(gone)?;
        let components = self.engine.vector(key).ok_or_else(gone)?;
        Vector::parse(self.settings.metric, components).map_err(|error| Error::Invalid(error.to_string()))
    }

    /// The items behind hits, in order; and whether they are enough where so many keys matched.
    fn resolve(&self, hits: &[Hit], options: &SearchOptions, matching: u64, changes: u64) -> (Vec<Found>, bool) {
        let mut found = Vec::with_capacity(hits.len());
        for hit in hits {
            let Some(record) = self.records.get(hit.key) else { continue };
            let vector = if options.with_vector { self.engine.vector(hit.key) } else { None };
            found.push(Found { record, distance: hit.distance, vector });
        }
        found.sort_by(|a, b| match a.distance.total_cmp(&b.distance) {
            Order::Equal => a.record.id().cmp(b.record.id()),
            order => order,
        });
        found.retain(|found| found.vector.is_some() == options.with_vector);
        let unchanged = changes.is_multiple_of(2) && self.metadata_changes.load(Ordering::Acquire) == changes;
        if let Some(filter) = options.filter.as_ref().filter(|_| !unchanged) {
            found.retain(|found| filter.matches(&found.record.metadata()));
        }
        drop_doubles(&mut found);
        // Keys that matched may have been replaced before the engine looked for them.
        let enough = found.len() as u64 >= matching.min(options.k as u64);
        if let Some(min_score) = options.min_score {
            found.retain(|found| score(self.settings.metric, found.distance) >= min_score);
        }
        found.truncate(options.k);
        (found, enough)
    }

    /// The keys that match.
    pub(super) fn matches(&self, filter: &Filter) -> RoaringBitmap {
        if let Some(matches) = self.indexed_matches(filter) {
            return matches;
        }
        // No item changes while all of them are looked at, for the paths that this filter is the first to
        // use, or for the filter itself where there is no room for these paths.
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.matches_alone(filter, &writing)
    }

    /// [`MemoryStore::matches`], for whoever keeps writers out.
    fn matches_alone(&self, filter: &Filter, _writing: &MutexGuard<'_, ()>) -> RoaringBitmap {
        if let Some(matches) = self.indexed_matches(filter) {
            return matches;
        }
        let (cover, live) = {
            let filtered = self.read();
            (filtered.fields.cover(filter), filtered.live.clone())
        };
        if let Cover::Missing(mut draft) = cover {
            for key in &live {
                if let Some(record) = self.records.get(key) {
                    draft.insert(key, &record.metadata());
                }
            }
            if let Err(no_room) = self.write().fields.install(draft) {
                tracing::warn!(index = %self.settings.name, %no_room, "filters look at every item");
            }
        }
        self.indexed_matches(filter).unwrap_or_else(|| {
            let matches = |key: &u32| self.records.get(*key).is_some_and(|record| filter.matches(&record.metadata()));
            live.iter().filter(matches).collect()
        })
    }

    fn indexed_matches(&self, filter: &Filter) -> Option<RoaringBitmap> {
        let filtered = self.read();
        filtered.fields.matching(filter, &filtered.live)
    }
}

/// Leaves the nearest of each id: under replacement an item may be met as it was and as it is.
fn drop_doubles(found: &mut Vec<Found>) {
    let mut by_id: Vec<usize> = (0..found.len()).collect();
    by_id.sort_by(|a, b| found[*a].record.id().cmp(found[*b].record.id()).then(a.cmp(b)));
    let same = |pair: &[usize]| found[pair[0]].record.id() == found[pair[1]].record.id();
    let mut doubles: Vec<usize> = by_id.windows(2).filter(|pair| same(pair)).map(|pair| pair[1]).collect();
    doubles.sort_unstable();
    doubles.into_iter().rev().for_each(|at| drop(found.remove(at)));
}
