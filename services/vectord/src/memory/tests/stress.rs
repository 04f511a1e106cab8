//! Searches beside a writer that never rests, each compared with a model.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;

use super::*;

const ITEMS: u16 = 120;
/// Searches of each reader that the writer goes on for.
const TURNS: usize = 150;
/// Filters on a path of these are the first to use it: as many others came between as there is room for.
const PATHS: u16 = 5;
const READERS: usize = 2;

fn name(at: u16) -> ItemId {
    ItemId::parse(format!("i-{at:03}")).unwrap()
}

/// Whoever sees a vector knows its revision by it. At every moment one of two neighbours is on, or both are.
fn described(at: u16, revision: u16, on: bool) -> Metadata {
    let mut metadata = json!({ "at": at, "revision": revision, "on": on });
    for path in 0..PATHS {
        metadata[format!("p{path}")] = json!(at % (path + 2));
    }
    metadata.as_object().cloned().unwrap()
}

fn revised(at: u16, revision: u16, on: bool) -> Op {
    let components = vec![f32::from(at), f32::from(revision) / 1024.0, 0.0];
    let vector = Some(Vector::parse(Metric::L2, components).unwrap());
    Op::Put(Put { id: name(at), vector, metadata: Some(described(at, revision, on)) })
}

/// Replaces all items, and turns neighbours on and off, until all readers are done.
fn write(store: &MemoryStore, done: &AtomicUsize) {
    let mut revision = 0_u16;
    while done.load(Ordering::SeqCst) < READERS {
        let even_on = revision.is_multiple_of(2);
        revision = (revision + 1) % 512;
        let on = |at: u16| at.is_multiple_of(2) == even_on;
        for part in (0..ITEMS).collect::<Vec<_>>().chunks(17) {
            store.apply(part.iter().map(|at| revised(*at, revision, on(*at))).collect()).unwrap();
        }
        // What was off first: never fewer than half are on.
        let turned =
            |at: u16| Op::Put(Put { id: name(at), vector: None, metadata: Some(described(at, revision, !on(at))) });
        let (off, on): (Vec<u16>, Vec<u16>) = (0..ITEMS).partition(|at| !on(*at));
        store.apply(off.into_iter().chain(on).map(turned).collect()).unwrap();
        store.index_some().unwrap();
    }
}

fn find(store: &MemoryStore, json: Option<serde_json::Value>, k: usize, exact: bool) -> Vec<u16> {
    let filter = json.as_ref().map(|json| Filter::parse(json).unwrap());
    let options = SearchOptions { k, ef: 40, exact, filter: filter.clone(), min_score: None, with_vector: true };
    let from = Target::Vector(Vector::parse(Metric::L2, vec![-1.0, 0.0, 0.0]).unwrap());
    let found = store.search(&from, &options).unwrap();
    let place = |found: &Found| {
        let (metadata, vector) = (found.record.metadata(), found.vector.clone().unwrap());
        let (at, revision) = (metadata["at"].as_f64().unwrap(), metadata["revision"].as_f64().unwrap());
        assert_eq!((f64::from(vector[0]), f64::from(vector[1]) * 1024.0), (at, revision), "a mixture");
        assert!(filter.as_ref().is_none_or(|filter| filter.matches(&metadata)), "{metadata:?} under {json:?}");
        at as u16
    };
    found.iter().map(place).collect()
}

fn read(store: &MemoryStore, reader: usize) {
    for turn in 0..TURNS {
        let exact = turn.is_multiple_of(2);
        let path = (turn + reader) as u16 % PATHS;
        let (key, value) = (format!("p{path}"), turn as u16 % (path + 2));
        let wanted = |at: &u16| at % (path + 2) == value;
        let mut expected: Vec<u16> = (0..ITEMS).filter(wanted).collect();
        let filter = json!({ key.as_str(): value });
        assert_eq!(find(store, Some(filter.clone()), expected.len(), exact), expected, "a fresh path");
        // More paths than there is room for.
        let crowded = json!({ key.as_str(): value, "at": { "$gte": 0 }, "revision": { "$gte": 0 } });
        assert_eq!(find(store, Some(crowded.clone()), expected.len(), exact), expected, "no room");
        let some = expected.len().min(7);
        assert_eq!(find(store, Some(filter.clone()), some, true), expected[..some], "the nearest");
        let filter = Filter::parse(&filter).unwrap();
        assert_eq!(store.count(Some(&filter)), expected.len());
        let page = store.scroll(None, ITEMS.into(), Some(&filter), true).items;
        let mut listed: Vec<_> = page.iter().map(|item| item.record.id().to_owned()).collect();
        listed.sort();
        assert_eq!(listed, expected.iter().map(|at| name(*at).as_str().to_owned()).collect::<Vec<_>>());
        expected = (0..ITEMS).collect();
        assert_eq!(find(store, None, ITEMS.into(), exact), expected, "all of them");
        assert_eq!(store.scroll(None, ITEMS.into(), None, true).items.len(), usize::from(ITEMS));
        let on = find(store, Some(json!({ "on": true })), usize::from(ITEMS) / 2, exact);
        assert_eq!(on.len(), usize::from(ITEMS) / 2, "half of them are on at every moment");
        assert!(store.item(name(turn as u16 % ITEMS).as_str(), true).is_some());
    }
}

fn answers_are_whole_beside_a_writer_that_never_rests(engine: EngineKind) {
    let store = &store_within(engine, Limits { paths_max: 2, bytes_max: 1 << 20 });
    store.apply((0..ITEMS).map(|at| revised(at, 0, at.is_multiple_of(2))).collect()).unwrap();
    let (done, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let done = &done;
                scope.spawn(move || {
                    // The writer must end, whatever becomes of the reader.
                    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(store, reader)));
                    done.fetch_add(1, Ordering::SeqCst);
                    read
                })
            })
            .collect();
        write(store, &done);
        for reader in readers {
            if reader.join().unwrap().is_err() {
                failed.store(true, Ordering::SeqCst);
            }
        }
    });
    assert!(!failed.into_inner(), "a reader has said what it saw");
    assert_eq!(store.count(None), usize::from(ITEMS));
}

#[test]
fn answers_of_lake_are_whole_beside_a_writer_that_never_rests() {
    answers_are_whole_beside_a_writer_that_never_rests(EngineKind::Lake);
}

#[test]
fn answers_of_hnsw_rs_are_whole_beside_a_writer_that_never_rests() {
    answers_are_whole_beside_a_writer_that_never_rests(EngineKind::HnswRs);
}
