//! Finding items.

use std::borrow::Cow;
use std::cmp::Ordering as Order;
use std::sync::atomic::Ordering;

use ann::{Hit, Key, Search, Vector};
use roaring::RoaringBitmap;

use super::MemoryStore;
use crate::Error;
use crate::filter::Filter;
use crate::item::Record;
use crate::settings::score;
use crate::store::{Found, SearchOptions, Target};

/// Looks at what was replaced while it looked; with more a search begins anew.
const LATE_LOOKS_MAX: usize = 8;

impl MemoryStore {
    pub(super) fn find(&self, target: &Target, options: &SearchOptions) -> Result<Vec<Found>, Error> {
        let mut hits = Vec::with_capacity(options.k.saturating_add(64));
        // An item under replacement takes two places, so twice as many hits are mostly enough.
        for k in [options.k, options.k.saturating_mul(2)] {
            if let Some(found) = self.find_passing(target, options, k, &mut hits)? {
                return Ok(found);
            }
        }
        self.find_frozen(target, options, &mut hits)
    }

    /// Searches what is there in passing. `None` where it found less than there would be without writers, or the
    /// filter has paths that are not indexed.
    fn find_passing(
        &self,
        target: &Target,
        options: &SearchOptions,
        k: usize,
        hits: &mut Vec<Hit>,
    ) -> Result<Option<Vec<Found>>, Error> {
        let _no_key_is_given_out_again = crossbeam_epoch::pin();
        let replaced = self.replaced.count();
        let changes = self.metadata_changes.load(Ordering::Acquire);
        let filter = match options.filter.as_ref().map(|filter| self.indexed_matches(filter)) {
            None => None,
            Some(Some(matches)) => Some(matches),
            Some(None) => return Ok(None),
        };
        let vector = &*self.vector_of(target)?;
        let matching = filter.as_ref().map_or_else(|| self.count.load(Ordering::Acquire) as u64, RoaringBitmap::len);
        let SearchOptions { ef, exact, .. } = *options;
        self.hits(&Search { vector, k, ef, filter: filter.as_ref(), exact }, hits)?;
        let horizon = hits.last().filter(|_| hits.len() >= k).map_or(f32::INFINITY, |last| last.distance);
        let mut found = self.resolve(hits, options, |key| self.records.get(key));
        if !self.add_replaced(replaced, vector, options, hits, &mut found)? {
            return Ok(None);
        }
        // Farther away there may be others, nearer than what was replaced by something there.
        found.retain(|found| found.distance <= horizon);
        let unchanged = changes.is_multiple_of(2) && self.metadata_changes.load(Ordering::Acquire) == changes;
        if let Some(filter) = options.filter.as_ref().filter(|_| !unchanged) {
            found.retain(|found| filter.matches(&found.record.metadata()));
        }
        drop_doubles(&mut found);
        // Keys that matched may have been replaced before the engine looked for them.
        let enough = found.len() as u64 >= matching.min(options.k as u64);
        Ok(enough.then(|| self.cut(found, options)))
    }

    /// Adds the items that were replaced since a search began, as they are now: it may have missed them under both
    /// keys. False where there are too many, or no end of them.
    fn add_replaced(
        &self,
        mut since: u64,
        vector: &Vector,
        options: &SearchOptions,
        hits: &mut Vec<Hit>,
        found: &mut Vec<Found>,
    ) -> Result<bool, Error> {
        for _ in 0..LATE_LOOKS_MAX {
            if self.replaced.count() == since {
                return Ok(true);
            }
            let Some((keys, now)) = self.replaced.since(since) else { return Ok(false) };
            let passes = |key: &Key| match &options.filter {
                None => true,
                Some(filter) => self.records.get(*key).is_some_and(|record| filter.matches(&record.metadata())),
            };
            let keys: RoaringBitmap = keys.into_iter().filter(passes).collect();
            let SearchOptions { k, ef, .. } = *options;
            self.hits(&Search { vector, k, ef, filter: Some(&keys), exact: true }, hits)?;
            found.extend(self.resolve(hits, options, |key| self.records.get(key)));
            found.sort_by(in_order);
            since = now;
        }
        Ok(false)
    }

    /// Searches what is there at one moment, which is kept until it has ended.
    fn find_frozen(&self, target: &Target, options: &SearchOptions, hits: &mut Vec<Hit>) -> Result<Vec<Found>, Error> {
        let vector = &*self.vector_of(target)?;
        let frozen = self.freeze(options.filter.as_ref());
        let SearchOptions { k, ef, exact, .. } = *options;
        self.hits(&Search { vector, k, ef, filter: Some(frozen.keys()), exact }, hits)?;
        let found = self.resolve(hits, options, |key| frozen.record(key));
        Ok(self.cut(found, options))
    }

    fn hits(&self, search: &Search<'_>, hits: &mut Vec<Hit>) -> Result<(), Error> {
        hits.clear();
        self.engine.search(search, hits).map_err(|source| Error::Engine { what: "searching", source })
    }

    fn vector_of<'a>(&self, target: &'a Target) -> Result<Cow<'a, Vector>, Error> {
        let id = match target {
            Target::Vector(vector) => return Ok(Cow::Borrowed(vector)),
            Target::Item(id) => id,
        };
        let gone = || Error::NoItem { index: self.settings.name.clone(), id: id.as_str().to_owned() };
        let components = self.at_key(id.as_str(), |key| self.engine.vector(key)).ok_or_else(gone)?;
        let vector = Vector::parse(self.settings.metric, components);
        vector.map(Cow::Owned).map_err(|error| Error::Invalid(error.to_string()))
    }

    /// The items behind hits, in order.
    fn resolve(&self, hits: &[Hit], options: &SearchOptions, record: impl Fn(Key) -> Option<Record>) -> Vec<Found> {
        let mut found = Vec::with_capacity(hits.len());
        for hit in hits {
            let Some(record) = record(hit.key) else { continue };
            let vector = if options.with_vector { self.engine.vector(hit.key) } else { None };
            found.push(Found { record, distance: hit.distance, vector });
        }
        found.sort_by(in_order);
        found.retain(|found| found.vector.is_some() == options.with_vector);
        found
    }

    /// What of all that was found is answered.
    fn cut(&self, mut found: Vec<Found>, options: &SearchOptions) -> Vec<Found> {
        if let Some(min_score) = options.min_score {
            found.retain(|found| score(self.settings.metric, found.distance) >= min_score);
        }
        found.truncate(options.k);
        found
    }

    /// The keys that match; `None` where a path of the filter is not indexed.
    pub(super) fn indexed_matches(&self, filter: &Filter) -> Option<RoaringBitmap> {
        let (view, live) = {
            let table = self.read();
            (table.view(filter)?, table.live().clone())
        };
        Some(view.matching(filter, &live))
    }
}

fn in_order(a: &Found, b: &Found) -> Order {
    a.distance.total_cmp(&b.distance).then_with(|| a.record.id().cmp(b.record.id()))
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
