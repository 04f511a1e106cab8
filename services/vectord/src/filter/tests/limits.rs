//! How much an index takes, and what it does when that is all.

use serde_json::{Value, json};

use super::super::{Draft, NoRoom, Path};
use super::*;

fn on(path: &str) -> Filter {
    Filter::parse(&json!({path: {"$gte": 0}})).unwrap()
}

fn items(count: u32) -> Vec<(u32, Value)> {
    (0..count).map(|key| (key, json!({"a": key, "b": key, "c": key}))).collect()
}

fn missing(fields: &Fields, filter: &Filter) -> Draft {
    match fields.cover(filter) {
        Cover::Missing(draft) => draft,
        other => panic!("{other:?}"),
    }
}

fn filled(mut draft: Draft, items: &[(u32, Value)]) -> Draft {
    draft.fill(items.iter().map(|(key, metadata)| (*key, object(metadata))));
    draft
}

fn indexed(fields: &Fields) -> Vec<&str> {
    let mut paths: Vec<_> = fields.paths().map(Path::as_str).collect();
    paths.sort_unstable();
    paths
}

/// The bytes that one path of so many distinct numbers takes.
fn bytes_of(count: u32) -> usize {
    let mut fields = Fields::new(ROOM);
    ask(&mut fields, &on("a"), &items(count), &RoaringBitmap::new()).unwrap();
    fields.memory_bytes()
}

#[test]
fn the_path_used_least_recently_goes_first() {
    let (items, live) = (items(10), (0..10).collect());
    let mut fields = Fields::new(Limits { paths_max: 2, ..ROOM });
    ask(&mut fields, &on("a"), &items, &live).unwrap();
    ask(&mut fields, &on("b"), &items, &live).unwrap();
    ask(&mut fields, &on("a"), &items, &live).unwrap();
    ask(&mut fields, &on("c"), &items, &live).unwrap();
    assert_eq!(indexed(&fields), ["a", "c"]);
    assert_eq!(matching(&fields, &on("b"), &live), None);
}

#[test]
fn memory_is_made_by_dropping_paths() {
    let (items, live) = (items(1_000), (0..1_000).collect());
    let mut fields = Fields::new(Limits { bytes_max: bytes_of(1_000) * 5 / 2, ..ROOM });
    for path in ["a", "b", "c"] {
        ask(&mut fields, &on(path), &items, &live).unwrap();
    }
    assert_eq!(indexed(&fields), ["b", "c"]);
    assert!(matches!(fields.cover(&on("a")), Cover::Missing(_)));
}

#[test]
fn a_path_too_large_for_all_room_is_refused_and_harms_no_other() {
    let few: Vec<_> = (0..1_000).map(|key| (key, json!({"a": key, "kind": key % 2}))).collect();
    let live = (0..1_000).collect();
    let bytes_max = bytes_of(1_000) / 2;
    let mut fields = Fields::new(Limits { bytes_max, ..ROOM });
    ask(&mut fields, &on("kind"), &few, &live).unwrap();

    let draft = filled(missing(&fields, &on("a")), &few);
    let refused = NoRoom { paths: vec![Path::parse("a").unwrap()], bytes_max };
    assert_eq!(fields.install(draft), Err(refused.clone()));
    assert_eq!(refused.to_string(), format!("an index of a takes more than {bytes_max} bytes"));
    assert_eq!(indexed(&fields), ["kind"]);
    assert!(matches!(fields.cover(&on("a")), Cover::Refused));
    assert_eq!(matching(&fields, &on("a"), &live), None);
    // Whatever else the filter uses.
    assert!(matches!(fields.cover(&Filter::parse(&json!({"a": 1, "kind": 1})).unwrap()), Cover::Refused));
    assert!(matches!(fields.cover(&on("kind")), Cover::Indexed));
}

#[test]
fn a_refused_path_is_tried_again_when_as_many_items_have_gone() {
    let all = items(1_000);
    let mut fields = Fields::new(Limits { bytes_max: bytes_of(1_000) / 2, ..ROOM });
    let draft = filled(missing(&fields, &on("a")), &all);
    fields.install(draft).unwrap_err();
    for (key, metadata) in &all[..999] {
        fields.remove(*key, object(metadata));
    }
    assert!(matches!(fields.cover(&on("a")), Cover::Refused));
    fields.remove(999, object(&all[999].1));
    assert!(matches!(fields.cover(&on("a")), Cover::Missing(_)));
}

#[test]
fn paths_that_fit_apart_and_not_together_are_refused_together_only() {
    let (all, live) = (items(1_000), (0..1_000).collect());
    let both = Filter::parse(&json!({"a": {"$gte": 0}, "b": {"$gte": 0}})).unwrap();
    let limits = Limits { bytes_max: bytes_of(1_000) * 3 / 2, ..ROOM };
    // At once, and one after the other.
    for first in [None, Some(on("a"))] {
        let mut fields = Fields::new(limits);
        first.iter().for_each(|first| assert!(ask(&mut fields, first, &all, &live).is_some()));
        let draft = filled(missing(&fields, &both), &all);
        let refused = fields.install(draft).unwrap_err();
        assert_eq!(refused.paths.len(), 2);
        assert!(matches!(fields.cover(&both), Cover::Refused));
        assert!(ask(&mut fields, &on("b"), &all, &live).is_some());
        assert_eq!(indexed(&fields), ["b"]);
    }
}

#[test]
fn a_path_that_outgrows_all_room_is_dropped_and_refused() {
    let (some, more) = (items(500), items(2_000));
    let mut fields = Fields::new(Limits { bytes_max: bytes_of(1_000), ..ROOM });
    ask(&mut fields, &on("a"), &some, &RoaringBitmap::new()).unwrap();
    for (key, metadata) in &more[500..] {
        fields.insert(*key, object(metadata));
        assert!(fields.memory_bytes() <= bytes_of(1_000));
    }
    assert!(matches!(fields.cover(&on("a")), Cover::Refused));
    assert_eq!(indexed(&fields), [""; 0]);
}

#[test]
fn a_path_that_outgrows_all_room_at_once_takes_no_other_with_it() {
    let some = items(500);
    let mut fields = Fields::new(Limits { bytes_max: bytes_of(1_000), ..ROOM });
    ask(&mut fields, &on("kind"), &some, &RoaringBitmap::new()).unwrap();
    ask(&mut fields, &on("a"), &some, &RoaringBitmap::new()).unwrap();
    fields.insert(500, object(&json!({"a": (0..2_000).collect::<Vec<_>>()})));
    assert!(matches!(fields.cover(&on("a")), Cover::Refused));
    assert_eq!(indexed(&fields), ["kind"]);
}

#[test]
fn a_filter_of_more_paths_than_there_may_be_is_refused() {
    let fields = Fields::new(Limits { paths_max: 2, ..ROOM });
    assert!(matches!(fields.cover(&Filter::parse(&json!({"a": 1, "b": 1})).unwrap()), Cover::Missing(_)));
    assert!(matches!(fields.cover(&Filter::parse(&json!({"a": 1, "b": 1, "c": 1})).unwrap()), Cover::Refused));
}

#[test]
fn no_bytes_are_no_index() {
    let mut fields = Fields::new(Limits { bytes_max: 0, ..ROOM });
    let draft = filled(missing(&fields, &on("a")), &items(1));
    fields.install(draft).unwrap_err();
    assert!(matches!(fields.cover(&on("a")), Cover::Refused));
}

#[test]
fn a_draft_without_room_takes_no_more_memory_than_it_may() {
    let mut fields = Fields::new(Limits { bytes_max: bytes_of(100), ..ROOM });
    let mut draft = missing(&fields, &on("a"));
    for (key, metadata) in items(10_000) {
        draft.insert(key, object(&metadata));
        assert!(draft.memory_bytes() <= bytes_of(100));
    }
    fields.install(draft).unwrap_err();
}

#[test]
fn memory_is_counted() {
    let mut fields = Fields::new(ROOM);
    assert_eq!(fields.memory_bytes(), 0);
    let texts: Vec<_> = (0..1_000).map(|key| (key, json!({"a": format!("{key:0>1000}")}))).collect();
    ask(&mut fields, &on("a"), &texts, &RoaringBitmap::new()).unwrap();
    assert!(fields.memory_bytes() > 1_000_000);
}
