//! Answering, with the table of items locked for some of them at a time.

use std::collections::HashSet;

use roaring::RoaringBitmap;

use super::HnswRs;
use super::state::{Item, State};
use crate::{Hit, Key, Search, TIES_MAX};

/// Up to so many matches of a filter, or where fewer than one in so many items matches, all are compared.
const SCANNED_MATCHES_MAX: usize = 1000;
const SCANNED_PER_MATCH: usize = 10;
/// Items looked up before a writer may have the table.
const AT_ONCE: usize = 256;

impl HnswRs {
    /// The answer to a valid search.
    pub(super) fn answer(&self, state: &State, search: &Search<'_>, hits: &mut Vec<Hit>) {
        let live = state.table().live();
        let matches = search.filter.map_or(live, |filter| live.min(filter.len() as usize));
        if search.k == 0 || matches == 0 {
            return;
        }
        if search.exact || is_few(matches, live, search.filter) {
            self.scan(state, search, hits);
        } else {
            self.walk(state, search, matches, hits);
            if hits.len() < search.k.min(matches) {
                self.scan(state, search, hits);
            }
        }
        hits.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.key.cmp(&b.key)));
        if let Some(last) = hits.get(search.k - 1).map(|hit| hit.distance) {
            let ties = hits[search.k..].iter().take(TIES_MAX).take_while(|hit| hit.distance == last);
            let kept = search.k + ties.count();
            hits.truncate(kept);
        }
    }

    fn scan(&self, state: &State, search: &Search<'_>, hits: &mut Vec<Hit>) {
        hits.clear();
        match search.filter {
            Some(filter) => {
                let mut keys = filter.iter();
                loop {
                    let some: Vec<Key> = keys.by_ref().take(AT_ONCE).collect();
                    if some.is_empty() {
                        break;
                    }
                    let items: Vec<_> = {
                        let table = state.table();
                        some.into_iter().filter_map(|key| table.item(key).cloned()).collect()
                    };
                    hits.extend(items.iter().map(|item| self.hit(search, item)));
                }
            }
            None => self.scan_all(state, search, hits),
        }
    }

    fn scan_all(&self, state: &State, search: &Search<'_>, hits: &mut Vec<Hit>) {
        let numbers_before = state.table().numbers();
        let mut from = 0;
        loop {
            let items: Vec<_> = {
                let table = state.table();
                // What is added meanwhile comes behind, so it is met too, and no item is missed that is replaced.
                let end = table.numbers().min(from + AT_ONCE);
                if from == end {
                    break;
                }
                let some = (from..end).filter_map(|number| table.present(number).cloned()).collect();
                from = end;
                some
            };
            hits.extend(items.iter().map(|item| self.hit(search, item)));
        }
        if from > numbers_before {
            // Some may have been met as they were and as they are.
            let mut met = HashSet::new();
            hits.reverse();
            hits.retain(|hit| met.insert(hit.key));
        }
    }

    /// By the graph: as many more candidates as it takes to have `ef` of those that may be answered.
    fn walk(&self, state: &State, search: &Search<'_>, matches: usize, hits: &mut Vec<Hit>) {
        hits.clear();
        let ef = search.ef.max(search.k) * state.table().numbers() / matches.max(1) + 1;
        let found = state.graph.search(search.vector.components(), ef, ef);
        let items: Vec<_> = {
            let table = state.table();
            let present = found.iter().filter_map(|found| table.present(found.get_origin_id()));
            present.filter(|item| search.filter.is_none_or(|filter| filter.contains(item.key))).cloned().collect()
        };
        hits.extend(items.iter().map(|item| self.hit(search, item)));
    }

    fn hit(&self, search: &Search<'_>, item: &Item) -> Hit {
        let distance = self.metric.measure(&self.kernels, search.vector.components(), item.vector.components());
        Hit { key: item.key, distance }
    }
}

fn is_few(matches: usize, live: usize, filter: Option<&RoaringBitmap>) -> bool {
    filter.is_some() && (matches <= SCANNED_MATCHES_MAX || matches * SCANNED_PER_MATCH < live)
}
