//! Scans beside changes, in every order: what they come to is what is there at their end.

use std::sync::Arc;

use roaring::RoaringBitmap;
use serde_json::Value;

use super::super::table::{Scan, Sought, Table};
use super::*;
use crate::item::Record;

const KEYS: Key = 300;

#[derive(Debug, Clone)]
enum Change {
    Put(Key, Metadata),
    Remove(Key),
    Begin(usize, bool),
    Look(usize),
    End(usize),
}

fn some_metadata() -> impl Strategy<Value = Metadata> {
    let value = prop::sample::select(vec![json!(1), json!(2), json!("x"), json!([1, "x"]), json!(null)]);
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), value, 0..4)
        .prop_map(|map| json!(map).as_object().cloned().unwrap())
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (0..KEYS, some_metadata()).prop_map(|(key, metadata)| Change::Put(key, metadata)),
        3 => (0..KEYS).prop_map(Change::Remove),
        2 => (0..FILTERS, any::<bool>()).prop_map(|(filter, may_index)| Change::Begin(filter, may_index)),
        6 => (0_usize..4).prop_map(Change::Look),
        1 => (0_usize..4).prop_map(Change::End),
    ]
}

const FILTERS: usize = 4;

fn filters() -> [Value; FILTERS] {
    [json!({ "a": 1 }), json!({ "b": { "$ne": 2 } }), json!({ "a": 1, "b": "x" }), json!({ "$not": { "c": 1 } })]
}

type Items = BTreeMap<Key, Metadata>;

fn matching(items: &Items, filter: &Filter) -> RoaringBitmap {
    items.iter().filter(|(_, metadata)| filter.matches(metadata)).map(|(key, _)| *key).collect()
}

fn look(table: &Table, scan: &Mutex<Scan>, items: &Items) -> bool {
    table.look(scan, |key| items.get(&key).map(|metadata| Record::new("w-1", metadata)))
}

/// Sees the rest and compares.
fn end(table: &mut Table, scan: Arc<Mutex<Scan>>, filter: &Filter, items: &Items) -> TestCaseResult {
    while !look(table, &scan, items) {}
    match table.end(scan).unwrap() {
        Sought::Matches { keys, .. } => prop_assert_eq!(keys, matching(items, filter)),
        Sought::Draft(draft) => {
            table.install(draft).unwrap();
            let found = table.view(filter).map(|view| view.matching(filter, table.live()));
            prop_assert_eq!(found, Some(matching(items, filter)));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_scan_beside_changes_ends_with_what_is_there_then(
        first in prop::collection::btree_map(0..KEYS, some_metadata(), 0..KEYS as usize),
        changes in prop::collection::vec(change(), 1..120),
    ) {
        let filters = filters().map(|json| Filter::parse(&json).unwrap());
        let mut table = Table::new(Limits { paths_max: 3, bytes_max: 1 << 20 });
        let mut items = Items::new();
        for (key, metadata) in first {
            table.insert(key, &metadata);
            items.insert(key, metadata);
        }
        let mut scans: Vec<(Arc<Mutex<Scan>>, &Filter)> = Vec::new();
        for change in changes {
            match change {
                Change::Put(key, metadata) => {
                    match items.insert(key, metadata.clone()) {
                        Some(before) => table.change(key, &before, &metadata),
                        None => table.insert(key, &metadata),
                    }
                }
                Change::Remove(key) => {
                    if let Some(before) = items.remove(&key) {
                        table.remove(key, &before);
                    }
                }
                Change::Begin(filter, may_index) => {
                    if scans.len() < 4 && table.view(&filters[filter]).is_none() {
                        scans.push((table.begin(&filters[filter], may_index), &filters[filter]));
                    }
                }
                Change::Look(at) => {
                    if let Some((scan, _)) = scans.get(at) {
                        look(&table, scan, &items);
                    }
                }
                Change::End(at) => {
                    if at < scans.len() {
                        let (scan, filter) = scans.remove(at);
                        end(&mut table, scan, filter, &items)?;
                    }
                }
            }
        }
        for (scan, filter) in scans {
            end(&mut table, scan, filter, &items)?;
        }
        // Paths that were installed have been told of everything since.
        for filter in &filters {
            if let Some(view) = table.view(filter) {
                prop_assert_eq!(view.matching(filter, table.live()), matching(&items, filter));
            }
        }
        prop_assert_eq!(&**table.live(), &items.keys().copied().collect::<RoaringBitmap>());
    }

    /// Whoever evaluates a filter over a view sees none of what changes after.
    #[test]
    fn a_view_stays_as_it_was(
        first in prop::collection::btree_map(0..KEYS, some_metadata(), 0..KEYS as usize),
        changes in prop::collection::vec((0..KEYS, prop::option::of(some_metadata())), 1..80),
    ) {
        let filter = Filter::parse(&json!({ "a": 1, "b": { "$exists": true } })).unwrap();
        let mut table = Table::new(Limits { paths_max: 3, bytes_max: 1 << 20 });
        first.iter().for_each(|(key, metadata)| table.insert(*key, metadata));
        let scan = table.begin(&filter, true);
        end(&mut table, scan, &filter, &first)?;
        let (view, live) = (table.view(&filter).unwrap(), table.live().clone());
        let mut items = first.clone();
        for (key, metadata) in changes {
            if let Some(before) = items.remove(&key) {
                table.remove(key, &before);
            }
            if let Some(metadata) = metadata {
                table.insert(key, &metadata);
                items.insert(key, metadata);
            }
        }
        prop_assert_eq!(view.matching(&filter, &live), matching(&first, &filter));
        let now = table.view(&filter).unwrap();
        prop_assert_eq!(now.matching(&filter, table.live()), matching(&items, &filter));
    }
}

#[test]
fn one_filter_at_a_time_has_its_paths_indexed() {
    let mut table = Table::new(Limits { paths_max: 3, bytes_max: 1 << 20 });
    let [a, b] = ["a", "b"].map(|path| Filter::parse(&json!({ path: 1 })).unwrap());
    let drafts = |table: &mut Table, scan| matches!(table.end(scan), Some(Sought::Draft(_)));
    let (first, second) = (table.begin(&a, true), table.begin(&b, true));
    assert!(!drafts(&mut table, second), "two drafts would take twice the memory");
    assert!(drafts(&mut table, first));
    let third = table.begin(&b, true);
    assert!(drafts(&mut table, third), "nobody else scans any more");
}
