//! Searches while a writer stands still in the midst of its work, with all it ever holds.

use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Condvar};
use std::thread;
use std::time::Duration;

use ann::{EngineError, Hit, Inserted, Search, Stats};

use super::*;

const ITEMS: u8 = 200;
const K: usize = 20;
/// What has not come by then waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where whoever comes by stands still until it is opened.
#[derive(Default)]
struct Gate {
    state: Mutex<(Closed, bool)>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Default)]
enum Closed {
    #[default]
    Nobody,
    Insert,
    Delete,
    Save,
    Search,
    /// Behind a search of the engine.
    Found,
}

impl Gate {
    fn pass(&self, at: Closed) {
        let mut state = self.state.lock().unwrap();
        while state.0 == at {
            state.1 = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap();
        }
    }

    fn close(&self, at: Closed) {
        *self.state.lock().unwrap() = (at, false);
        self.changed.notify_all();
    }

    fn until_somebody_stands(&self) {
        let state = self.state.lock().unwrap();
        let (_state, waited) = self.changed.wait_timeout_while(state, PATIENCE, |state| !state.1).unwrap();
        assert!(!waited.timed_out(), "nobody came");
    }
}

/// Opens it when a test ends, however it does.
struct Opens<'a>(&'a Gate);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().0 = Closed::Nobody;
        self.0.changed.notify_all();
    }
}

/// A real engine behind a gate.
struct Gated(Box<dyn Engine>, Arc<Gate>);

impl Engine for Gated {
    fn insert(&self, batch: &[(Key, Vector)]) -> Result<Inserted, EngineError> {
        self.1.pass(Closed::Insert);
        self.0.insert(batch)
    }
    fn unindexed(&self) -> usize {
        self.0.unindexed()
    }
    fn index(&self, at_most: usize) -> Result<usize, EngineError> {
        self.0.index(at_most)
    }
    fn delete(&self, keys: &[Key]) -> usize {
        self.1.pass(Closed::Delete);
        self.0.delete(keys)
    }
    fn search(&self, search: &Search<'_>, hits: &mut Vec<Hit>) -> Result<(), EngineError> {
        self.1.pass(Closed::Search);
        self.0.search(search, hits)?;
        self.1.pass(Closed::Found);
        Ok(())
    }
    fn vector(&self, key: Key) -> Option<Vec<f32>> {
        self.0.vector(key)
    }
    fn compact(&self) {
        self.0.compact();
    }
    fn reachable(&self) -> usize {
        self.0.reachable()
    }
    fn stats(&self) -> Stats {
        self.0.stats()
    }
    fn save(&self, to: &mut dyn Write) -> Result<(), EngineError> {
        self.0.save(to)
    }
    fn load(_: &mut dyn Read, _: usize) -> Result<Self, EngineError> {
        Err(EngineError::Snapshot("nobody loads it"))
    }
}

/// A disk that stands still.
struct SlowDisk<'a>(&'a Gate, usize);

impl Write for SlowDisk<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The first bytes are the store's own, later ones the engine's.
        self.1 -= usize::from(self.1 > 0);
        if self.1 == 0 {
            self.0.pass(Closed::Save);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn put_all(store: &MemoryStore, y: i8) {
    put_some(store, 0..ITEMS, y);
}

fn put_some(store: &MemoryStore, numbers: std::ops::Range<u8>, y: i8) {
    let item = |number: u8| {
        let metadata = json!({ "n": number, "half": number % 2, "third": number % 3, "tenth": number % 10 });
        let vector = Some(vector([(number / 2) as i8, y, 1]));
        Op::Put(Put { id: id(number), vector, metadata: metadata.as_object().cloned() })
    };
    store.apply(numbers.map(item).collect()).unwrap();
}

fn filter(json: serde_json::Value) -> Option<Filter> {
    Some(Filter::parse(&json).unwrap())
}

fn options(filter: Option<Filter>, exact: bool) -> SearchOptions {
    SearchOptions { k: K, ef: 20, exact, filter, min_score: None, with_vector: true }
}

/// Runs it beside, and does not wait for ever.
fn answers<'s, T: Send + 's>(scope: &'s thread::Scope<'s, '_>, what: &str, ask: impl FnOnce() -> T + Send + 's) -> T {
    let (tell, told) = mpsc::channel();
    scope.spawn(move || drop(tell.send(ask())));
    told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}: waits for a writer"))
}

/// Everything that reads, each answered whole.
fn ask_everything<'s>(scope: &'s thread::Scope<'s, '_>, store: &'s MemoryStore, at: &str) {
    let target = || Target::Vector(vector([3, 0, 1]));
    let found = |what: &str, target: Target, options: SearchOptions| {
        let what = format!("{what}, {at}");
        let found = answers(scope, &what, move || store.search(&target, &options)).unwrap();
        let ids: std::collections::BTreeSet<_> = found.iter().map(|found| found.record.id().to_owned()).collect();
        assert_eq!((found.len(), ids.len()), (K, K), "{what}");
    };
    found("without a filter", target(), options(None, false));
    found("exact", target(), options(None, true));
    found("by id", Target::Item(id(7)), options(None, false));
    // Known once it has been asked for.
    answers(scope, "count", move || store.count(filter(json!({ "half": 1 })).as_ref()));
    found("known path", target(), options(filter(json!({ "half": 1 })), false));
    found("first use of a path", target(), options(filter(json!({ "third": 1 })), false));
    found("no room for its paths", target(), options(filter(json!({ "half": 1, "third": { "$gte": 1 } })), true));
    let count = ITEMS as usize;
    assert_eq!(answers(scope, "count", move || store.count(None)), count, "{at}");
    assert_eq!(
        answers(scope, "count with a filter", move || store.count(filter(json!({ "tenth": 1 })).as_ref())),
        count / 10
    );
    assert_eq!(
        answers(scope, "matching", move || store.matching(&filter(json!({ "n": { "$lt": 5 } })).unwrap()).len()),
        5
    );
    let page =
        |filter: Option<Filter>| answers(scope, "scroll", move || store.scroll(None, 100, filter.as_ref(), true));
    assert_eq!((page(None).items.len(), page(filter(json!({ "tenth": 3 }))).items.len()), (100, count / 10), "{at}");
    assert!(answers(scope, "item", move || store.item(id(3).as_str(), true)).is_some(), "{at}");
}

fn searches_answer_while_writers_stand(engine: EngineKind) {
    let gate = Arc::new(Gate::default());
    let mut store = store_within(engine, Limits { paths_max: 1, bytes_max: 1 << 20 });
    store.engine = Box::new(Gated(new_engine(&store.settings, 1).unwrap(), gate.clone()));
    put_all(&store, 0);
    let store = &store;
    for (closed, at) in [(Closed::Insert, "before vectors are added"), (Closed::Delete, "before old ones go")] {
        gate.close(closed);
        thread::scope(|scope| {
            let _opens = Opens(&gate);
            let writer = scope.spawn(|| put_all(store, 1));
            gate.until_somebody_stands();
            ask_everything(scope, store, at);
            assert!(!writer.is_finished());
        });
    }
    for (writes, at) in [(1, "the content is written"), (2, "the engine is written")] {
        gate.close(Closed::Save);
        thread::scope(|scope| {
            let _opens = Opens(&gate);
            let writer = scope.spawn(|| store.save(&mut SlowDisk(&gate, writes)).unwrap());
            gate.until_somebody_stands();
            ask_everything(scope, store, at);
            assert!(!writer.is_finished());
        });
    }
}

#[test]
fn searches_of_lake_answer_while_writers_stand() {
    searches_answer_while_writers_stand(EngineKind::Lake);
}

#[test]
fn searches_of_hnsw_rs_answer_while_writers_stand() {
    searches_answer_while_writers_stand(EngineKind::HnswRs);
}

/// The nearest ones are replaced, by others that are as near or far away, once a search knows what matches or what
/// it has found: twice, as its second try asks for more than it needs.
fn what_is_replaced_beside_a_search_is_found(engine: EngineKind) {
    let gate = Arc::new(Gate::default());
    let mut store = store_within(engine, Limits { paths_max: 8, bytes_max: 1 << 20 });
    store.engine = Box::new(Gated(new_engine(&store.settings, 1).unwrap(), gate.clone()));
    put_all(&store, 0);
    let (store, half) = (&store, || filter(json!({ "half": 1 })));
    store.count(half().as_ref());
    let wanted = [None, half()].into_iter().flat_map(|wanted| [(wanted.clone(), false), (wanted, true)]);
    for ((wanted, exact), y) in wanted.flat_map(|wanted| [(wanted.clone(), 1), (wanted, 100)]) {
        for stop in [Closed::Search, Closed::Found] {
            let what = format!("{wanted:?}, exact: {exact}, {y}, before it searches: {}", stop == Closed::Search);
            put_some(store, 0..4, 0);
            let is_wanted = |number: &u8| wanted.is_none() || number % 2 == 1;
            let nearest = (0..ITEMS).filter(is_wanted).filter(|number| y == 1 || *number >= 4).take(K).map(id);
            let nearest: Vec<_> = nearest.map(|id| id.as_str().to_owned()).collect();
            gate.close(stop);
            thread::scope(|scope| {
                let opens = Opens(&gate);
                let search = || store.search(&Target::Vector(vector([-9, 0, 1])), &options(wanted.clone(), exact));
                let found = scope.spawn(search);
                gate.until_somebody_stands();
                put_some(store, 0..4, y);
                if stop == Closed::Found {
                    // On to its next look.
                    gate.close(Closed::Search);
                    gate.until_somebody_stands();
                    gate.close(Closed::Found);
                    gate.until_somebody_stands();
                    put_some(store, 0..4, y + 1);
                }
                drop(opens);
                let found = found.join().unwrap().unwrap();
                let mut ids: Vec<_> = found.iter().map(|found| found.record.id().to_owned()).collect();
                let mut nearest = nearest.clone();
                ids.sort();
                nearest.sort();
                assert_eq!(ids, nearest, "{what}");
            });
        }
    }
}

#[test]
fn what_is_replaced_beside_a_search_of_lake_is_found() {
    what_is_replaced_beside_a_search_is_found(EngineKind::Lake);
}

#[test]
fn what_is_replaced_beside_a_search_of_hnsw_rs_is_found() {
    what_is_replaced_beside_a_search_is_found(EngineKind::HnswRs);
}

/// Where writers outrun searches it is they who wait.
#[test]
fn what_is_frozen_stays_to_the_end_and_others_see_what_is_new() {
    let store = &store(EngineKind::Lake);
    let groups = |group: u8| (0..40).map(|number| (number, Some([number as i8, 0, 0]), Some(group))).collect();
    put(store, &mut Model::new(), groups(1)).unwrap();
    let wanted = filter(json!({ "group": 1 })).unwrap();
    let frozen = store.freeze(Some(&wanted));
    let keys = frozen.keys().clone();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let described = |number| Op::Put(Put { id: id(number), vector: None, metadata: Some(metadata(Some(2))) });
            store.apply((0..40).map(described).collect()).unwrap();
            let replaced = |number: u8| {
                Op::Put(Put { id: id(number), vector: Some(vector([0, 7, 7])), metadata: Some(metadata(Some(3))) })
            };
            store.apply((0..40).map(replaced).collect()).unwrap();
        });
        let is_new = || store.item(id(39).as_str(), true).unwrap().vector == Some(vec![0.0, 7.0, 7.0]);
        while !is_new() {
            thread::yield_now();
        }
        assert_eq!((keys.len(), store.count(Some(&wanted))), (40, 0));
        (0..1_000).for_each(|_| thread::yield_now());
        for key in &keys {
            assert_eq!(frozen.record(key).unwrap().metadata(), metadata(Some(1)));
            assert_eq!(store.engine.vector(key).unwrap()[1], 0.0);
        }
        assert!(!writer.is_finished());
        drop(frozen);
        writer.join().unwrap();
    });
    assert!(keys.iter().all(|key| store.records.get(key).is_none() && store.engine.vector(key).is_none()));
    assert_eq!((store.count(None), store.count(filter(json!({ "group": 3 })).as_ref())), (40, 40));
}

/// The key that an id leads to may be on its way out when it is looked at.
#[test]
fn who_meets_an_item_on_its_way_out_is_given_one_that_stays() {
    let store = &store(EngineKind::Lake);
    put_all(store, 0);
    let is_first = std::cell::Cell::new(true);
    thread::scope(|scope| {
        let found = store.at_key(id(7).as_str(), |key| {
            if is_first.replace(false) {
                return None;
            }
            scope.spawn(|| put_all(store, 1));
            while store.ids.get(&store.records, id(7).as_str()) == Some(key) {
                thread::yield_now();
            }
            (0..1_000).for_each(|_| thread::yield_now());
            store.item_of(key, true)
        });
        assert_eq!(found.unwrap().vector.unwrap()[1], 0.0, "as it was when it was looked up again");
    });
    assert_eq!(store.item(id(7).as_str(), true).unwrap().vector.unwrap()[1], 1.0);
}
