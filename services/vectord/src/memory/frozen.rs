//! What matches at one moment, kept for as long as it takes to answer from it.

use std::sync::Arc;

use ann::Key;
use roaring::RoaringBitmap;

use super::MemoryStore;
use super::freezes::Freeze;
use super::ids::Position;
use super::table::{Sought, Table};
use crate::filter::Filter;
use crate::item::Record;
use crate::store::Item;

/// Where one in so many items matches, or fewer, the matches of a scroll are sorted instead of all items
/// looked through.
const SORTED_MATCHES_SHARE: u64 = 64;

/// The items that a filter matches at one moment, or all of them: each under one key, which the engine has and
/// keeps.
pub(super) struct Frozen<'a> {
    store: &'a MemoryStore,
    filter: Option<&'a Filter>,
    live: Arc<RoaringBitmap>,
    /// Of `live`, those that match; without a filter all do.
    matches: Option<RoaringBitmap>,
    freeze: Freeze<'a>,
}

impl MemoryStore {
    /// Freezes what matches. The first filter with a path looks at every item for it, and so does every filter
    /// whose paths have no room; the moment is that of the end of this look.
    pub(super) fn freeze<'a>(&'a self, filter: Option<&'a Filter>) -> Frozen<'a> {
        let Some(wanted) = filter else { return self.frozen(&self.read(), filter, None) };
        let mut may_index = true;
        loop {
            if let Some(frozen) = self.freeze_indexed(wanted) {
                return frozen;
            }
            let scan = self.write().begin(wanted, may_index);
            while !self.read().look(&scan, |key| self.records.get(key)) {}
            // Whatever becomes of the paths, what is sought next is the matches.
            may_index = false;
            let mut table = self.write();
            match table.end(scan) {
                Some(Sought::Matches { keys, .. }) => return self.frozen(&table, filter, Some(keys)),
                Some(Sought::Draft(draft)) => {
                    if let Err(no_room) = table.install(draft) {
                        tracing::warn!(index = %self.settings.name, %no_room, "filters look at every item");
                    }
                }
                None => {}
            }
        }
    }

    fn freeze_indexed<'a>(&'a self, filter: &'a Filter) -> Option<Frozen<'a>> {
        let (view, mut frozen) = {
            let table = self.read();
            (table.view(filter)?, self.frozen(&table, Some(filter), None))
        };
        frozen.matches = Some(view.matching(filter, &frozen.live));
        Some(frozen)
    }

    /// The caller has the table: what it knows, and what is kept, are of one moment.
    fn frozen<'a>(&'a self, table: &Table, filter: Option<&'a Filter>, matches: Option<RoaringBitmap>) -> Frozen<'a> {
        Frozen { store: self, filter, live: table.live().clone(), matches, freeze: self.freezes.begin() }
    }
}

impl Frozen<'_> {
    pub(super) fn keys(&self) -> &RoaringBitmap {
        self.matches.as_ref().unwrap_or(&self.live)
    }

    /// As it was at the moment.
    pub(super) fn record(&self, key: Key) -> Option<Record> {
        // In this order: whoever replaces a record has kept it before.
        let now = self.store.records.get(key);
        self.freeze.former(key).or(now)
    }

    fn item(&self, key: Key, with_vector: bool) -> Option<Item> {
        let record = self.record(key)?;
        let vector = if with_vector { Some(self.store.engine.vector(key)?) } else { None };
        Some(Item { record, vector })
    }

    /// Items that match, in the order of pages, behind a position.
    pub(super) fn items_after<'a>(
        &'a self,
        after: Option<&'a Position>,
        with_vector: bool,
    ) -> Box<dyn Iterator<Item = Item> + 'a> {
        let Self { store, matches, live, .. } = self;
        match matches {
            Some(matches) if matches.len() * SORTED_MATCHES_SHARE <= live.len() => {
                let position = |key| Some((store.records.peek(key, |id| store.ids.position(id))?, key));
                let mut placed: Vec<_> = matches.iter().filter_map(position).collect();
                placed.retain(|(position, _)| after.is_none_or(|after| position > after));
                placed.sort_unstable();
                Box::new(placed.into_iter().filter_map(move |(_, key)| self.item(key, with_vector)))
            }
            _ => Box::new(
                store.ids.after(&store.records, after).filter_map(move |key| self.present_item(key, with_vector)),
            ),
        }
    }

    /// The item that an id leads to now, where it matches: as it was at the moment, or as what it was replaced by.
    fn present_item(&self, key: Key, with_vector: bool) -> Option<Item> {
        if self.keys().contains(key) {
            return self.item(key, with_vector);
        }
        let item = || self.store.item_of(key, with_vector);
        let is_new = !self.live.contains(key);
        let fits = |item: &Item| self.filter.is_none_or(|filter| filter.matches(&item.record.metadata()));
        is_new.then(item).flatten().filter(fits)
    }
}
