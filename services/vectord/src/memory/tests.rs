//! The store against a model that compares everything with everything.

mod beside;
mod stress;
mod waiting;

use std::collections::BTreeMap;

use ann::{Metric, Vector};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::json;

use super::*;
use crate::filter::Limits;
use crate::item::{Metadata, Put};
use crate::name::IndexName;
use crate::settings::{NewIndex, SettingsMax};

const DIMENSION: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// Adds or replaces, or changes metadata alone.
    Put(Vec<(u8, Option<[i8; DIMENSION]>, Option<u8>)>),
    Delete(Vec<u8>),
    Search {
        at: [i8; DIMENSION],
        k: usize,
        filter: Option<u8>,
        exact: bool,
    },
    Index,
    Compact,
    Restart,
}

/// By id: the vector and the group in the metadata.
type Model = BTreeMap<u8, ([i8; DIMENSION], Option<u8>)>;

fn step() -> impl Strategy<Value = Step> {
    let vector = || prop::array::uniform3(-9_i8..9);
    let group = || prop::option::of(0_u8..4);
    prop_oneof![
        4 => prop::collection::vec((0_u8..60, prop::option::weighted(0.8, vector()), group()), 1..20).prop_map(Step::Put),
        2 => prop::collection::vec(0_u8..60, 1..15).prop_map(Step::Delete),
        4 => (vector(), 1_usize..12, prop::option::of(0_u8..4), any::<bool>())
            .prop_map(|(at, k, filter, exact)| Step::Search { at, k, filter, exact }),
        1 => Just(Step::Index),
        1 => Just(Step::Compact),
        1 => Just(Step::Restart),
    ]
}

fn store(engine: EngineKind) -> MemoryStore {
    store_within(engine, Limits { paths_max: 8, bytes_max: 1 << 20 })
}

fn store_within(engine: EngineKind, limits: Limits) -> MemoryStore {
    let asked = NewIndex {
        dimension: Some(DIMENSION),
        metric: Some(Metric::L2),
        m: Some(4),
        ef_construction: Some(20),
        ef_search: Some(20),
        engine: Some(engine),
        ..NewIndex::named(IndexName::parse("t").unwrap())
    };
    let max = SettingsMax { dimension: 8_192, ef: 10_000 };
    let settings = Settings::new(asked, None, max, 0).unwrap();
    MemoryStore::new(settings, limits, 1).unwrap()
}

fn id(number: u8) -> ItemId {
    // Of different lengths, and in another order than the numbers.
    ItemId::parse(format!("{}-{number}", "x".repeat(usize::from(number % 3) + 1))).unwrap()
}

fn vector(components: [i8; DIMENSION]) -> Vector {
    Vector::parse(Metric::L2, components.map(f32::from).to_vec()).unwrap()
}

fn metadata(group: Option<u8>) -> Metadata {
    group
        .map(|group| json!({ "group": group, "tags": [group, "all"] }))
        .and_then(|x| x.as_object().cloned())
        .unwrap_or_default()
}

/// The nearest by looking at all: distance, then id.
fn nearest(model: &Model, at: [i8; DIMENSION], filter: Option<u8>) -> Vec<(f32, String)> {
    let distance = |vector: &[i8; DIMENSION]| {
        let squares = vector.iter().zip(at).map(|(a, b)| (f32::from(*a) - f32::from(b)).powi(2));
        squares.sum::<f32>()
    };
    let matching = model.iter().filter(|(_, (_, group))| filter.is_none() || *group == filter);
    let mut all: Vec<_> =
        matching.map(|(number, (vector, _))| (distance(vector), id(*number).as_str().to_owned())).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    all
}

fn put(
    store: &MemoryStore,
    model: &mut Model,
    items: Vec<(u8, Option<[i8; DIMENSION]>, Option<u8>)>,
) -> TestCaseResult {
    let mut items: BTreeMap<u8, _> =
        items.into_iter().map(|(number, vector, group)| (number, (vector, group))).collect();
    // What is checked before it comes here: a new item has a vector.
    items.retain(|number, (vector, _)| vector.is_some() || model.contains_key(number));
    let added = items.keys().filter(|number| !model.contains_key(*number)).count();
    let mut ops = Vec::new();
    for (number, (components, group)) in &items {
        // No group is no metadata in the request: what is stored stays.
        let metadata = group.map(|group| metadata(Some(group)));
        ops.push(Op::Put(Put { id: id(*number), vector: components.map(vector), metadata }));
        let held = model.entry(*number).or_insert(([0; DIMENSION], None));
        held.0 = components.unwrap_or(held.0);
        held.1 = group.or(held.1);
    }
    let expected = Applied { added, updated: items.len() - added, deleted: 0 };
    prop_assert_eq!(store.apply(ops).unwrap(), expected);
    Ok(())
}

fn search(
    store: &MemoryStore,
    model: &Model,
    at: [i8; DIMENSION],
    k: usize,
    filter: Option<u8>,
    exact: bool,
) -> TestCaseResult {
    let options = SearchOptions {
        k,
        ef: 20,
        exact,
        filter: filter.map(|group| Filter::parse(&json!({ "group": group, "tags": "all" })).unwrap()),
        min_score: None,
        with_vector: true,
    };
    let found = store.search(&Target::Vector(vector(at)), &options).unwrap();
    let expected = nearest(model, at, filter);
    prop_assert_eq!(found.len(), k.min(expected.len()), "never fewer while more match");
    let answered: Vec<_> = found.iter().map(|found| (found.distance, found.record.id().to_owned())).collect();
    if exact {
        prop_assert_eq!(&answered[..], &expected[..found.len()]);
    } else {
        prop_assert!(answered.iter().all(|one| expected.contains(one)), "{:?} of {:?}", answered, expected);
        prop_assert!(answered.is_sorted_by(|a, b| a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)), "{:?}", answered);
    }
    Ok(())
}

/// Everything that is stored, in pages.
fn compare(store: &MemoryStore, model: &Model) -> TestCaseResult {
    let mut stored = BTreeMap::new();
    let mut after: Option<ItemId> = None;
    loop {
        let page = store.scroll(after.as_ref(), 7, None, true);
        for item in &page.items {
            let value = (item.vector.clone().unwrap(), item.record.metadata());
            prop_assert!(stored.insert(item.record.id().to_owned(), value).is_none(), "twice");
        }
        after = page.next_after;
        if after.is_none() {
            break;
        }
    }
    let expected: BTreeMap<_, _> = model
        .iter()
        .map(|(number, (vector, group))| {
            (id(*number).as_str().to_owned(), (vector.map(f32::from).to_vec(), metadata(*group)))
        })
        .collect();
    prop_assert_eq!(stored, expected);
    prop_assert_eq!(store.count(None), model.len());
    prop_assert_eq!(store.stats().count, model.len());
    let filter = Filter::parse(&json!({ "group": { "$gte": 2 } })).unwrap();
    let matching = model.values().filter(|(_, group)| group.is_some_and(|group| group >= 2)).count();
    prop_assert_eq!((store.count(Some(&filter)), store.matching(&filter).len()), (matching, matching));
    Ok(())
}

fn run(engine: EngineKind, steps: Vec<Step>) -> TestCaseResult {
    let mut store = store(engine);
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Put(items) => put(&store, &mut model, items)?,
            Step::Delete(numbers) => {
                let numbers: std::collections::BTreeSet<_> = numbers.into_iter().collect();
                let deleted = numbers.iter().filter(|number| model.remove(number).is_some()).count();
                let ops = numbers.iter().map(|number| Op::Delete(id(*number))).collect();
                prop_assert_eq!(store.apply(ops).unwrap(), Applied { deleted, ..Applied::default() });
            }
            Step::Search { at, k, filter, exact } => search(&store, &model, at, k, filter, exact)?,
            Step::Index => while store.index_some().unwrap() > 0 {},
            Step::Compact => {
                store.compact();
                while store.index_some().unwrap() > 0 {}
                // The graph of `hnsw_rs` loses equal vectors now and then; its engine looks at all where it comes short.
                prop_assert!(engine == EngineKind::HnswRs || store.reachable() == model.len());
            }
            Step::Restart => {
                let mut saved = Vec::new();
                store.save(&mut saved).unwrap();
                let mut loaded = self::store(engine);
                loaded.load(&mut saved.as_slice()).unwrap();
                store = loaded;
            }
        }
    }
    compare(&store, &model)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn lake_holds_what_the_model_holds(steps in prop::collection::vec(step(), 1..30)) {
        run(EngineKind::Lake, steps)?;
    }

    #[test]
    fn hnsw_rs_holds_what_the_model_holds(steps in prop::collection::vec(step(), 1..15)) {
        run(EngineKind::HnswRs, steps)?;
    }
}

#[test]
fn metadata_left_out_stays_and_an_empty_one_clears() {
    let store = store(EngineKind::Lake);
    let put = |components: Option<[i8; 3]>, metadata: Option<Metadata>| {
        let put = Put { id: id(1), vector: components.map(vector), metadata };
        store.apply(vec![Op::Put(put)]).unwrap();
        store.item(id(1).as_str(), true).unwrap()
    };
    let held = put(Some([1, 2, 3]), Some(metadata(Some(3))));
    assert_eq!(held.record.metadata(), metadata(Some(3)));
    let held = put(Some([4, 5, 6]), None);
    assert_eq!((held.record.metadata(), held.vector), (metadata(Some(3)), Some(vec![4.0, 5.0, 6.0])));
    let held = put(None, Some(metadata(Some(1))));
    assert_eq!((held.record.metadata(), held.vector), (metadata(Some(1)), Some(vec![4.0, 5.0, 6.0])));
    let held = put(None, Some(Metadata::new()));
    assert_eq!(held.record.metadata_json(), "{}");
    let group = Filter::parse(&json!({ "group": 1 })).unwrap();
    assert_eq!((store.count(Some(&group)), store.count(None)), (0, 1));
}

#[test]
fn an_old_record_is_applied_again_without_harm() {
    let store = store(EngineKind::Lake);
    let add = |group: u8| {
        Op::Put(Put {
            id: id(1),
            vector: Some(vector([i8::try_from(group).unwrap(); 3])),
            metadata: Some(metadata(Some(group))),
        })
    };
    let describe = Op::Put(Put { id: id(1), vector: None, metadata: Some(metadata(Some(2))) });
    let log = [vec![add(1)], vec![describe], vec![Op::Delete(id(1))], vec![add(3)]];
    for _ in 0..2 {
        log.iter().for_each(|ops| assert!(store.apply(ops.clone()).is_ok()));
        assert_eq!(store.count(None), 1);
        let held = store.item(id(1).as_str(), true).unwrap();
        assert_eq!((held.record.metadata(), held.vector), (metadata(Some(3)), Some(vec![3.0; 3])));
    }
    // From the middle: the item that is described is not there any more.
    store.apply(vec![Op::Delete(id(1))]).unwrap();
    log[1..].iter().for_each(|ops| assert!(store.apply(ops.clone()).is_ok()));
    assert_eq!(store.count(None), 1);
}

#[test]
fn damaged_content_is_refused_and_never_panics() {
    let store = store(EngineKind::Lake);
    let mut model = Model::new();
    let items = (0..40).map(|number| (number, Some([number as i8, 1, 2]), Some(number % 4))).collect();
    put(&store, &mut model, items).unwrap();
    let mut saved = Vec::new();
    store.save(&mut saved).unwrap();
    for at in (0..saved.len()).step_by(31) {
        assert!(self::store(EngineKind::Lake).load(&mut &saved[..at]).is_err(), "cut at {at}");
        let mut damaged = saved.clone();
        damaged[at] ^= 0x55;
        // Its checksum is its keeper's; here it must only not do harm.
        let _read_or_refused = self::store(EngineKind::Lake).load(&mut damaged.as_slice());
    }
}
