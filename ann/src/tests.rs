//! What every engine does, whatever is inside: the same tests over both.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use roaring::RoaringBitmap;

use crate::hnsw_rs::HnswRs;
use crate::lake::Lake;
use crate::*;

mod stress;

pub(crate) const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

/// An engine that tests can make.
pub(crate) trait Make: Engine + Sized {
    const METRICS: &[Metric];

    fn make(metric: Metric, dimension: usize, options: Options) -> Result<Self, EngineError>;
}

impl Make for Lake {
    const METRICS: &[Metric] = &METRICS;

    fn make(metric: Metric, dimension: usize, options: Options) -> Result<Self, EngineError> {
        Self::new(metric, dimension, options)
    }
}

impl Make for HnswRs {
    const METRICS: &[Metric] = &[Metric::Cosine, Metric::L2];

    fn make(metric: Metric, dimension: usize, options: Options) -> Result<Self, EngineError> {
        Self::new(metric, dimension, options)
    }
}

/// Numbers that look random and are the same on every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn vector(&mut self, metric: Metric, dimension: usize) -> Vector {
        Vector::parse(metric, (0..dimension).map(|_| self.next()).collect()).expect("finite, not zero")
    }
}

pub(crate) fn small<E: Make>(metric: Metric, dimension: usize) -> E {
    let options = Options { m: 8, ef_construction: 64, threads: 1 };
    E::make(metric, dimension, options).expect("good options")
}

pub(crate) fn vector(metric: Metric, components: &[f32]) -> Vector {
    Vector::parse(metric, components.to_vec()).expect("good vector")
}

pub(crate) fn find(
    engine: &impl Engine,
    vector: &Vector,
    k: usize,
    filter: Option<&RoaringBitmap>,
    exact: bool,
) -> Vec<Hit> {
    let mut hits = Vec::new();
    engine.search(&Search { vector, k, ef: 64, filter, exact }, &mut hits).expect("a valid search");
    hits
}

/// Inserts and indexes.
pub(crate) fn add(engine: &impl Engine, batch: &[(Key, Vector)]) {
    engine.insert(batch).expect("a valid batch");
    assert_eq!(engine.index(usize::MAX).expect("memory"), 0);
}

pub(crate) fn keys(hits: &[Hit]) -> Vec<Key> {
    hits.iter().map(|hit| hit.key).collect()
}

/// The same question answered by looking at everything, in double precision.
fn brute(items: &BTreeMap<Key, Vector>, query: &Vector, k: usize, filter: Option<&RoaringBitmap>) -> Vec<(f64, Key)> {
    let distance = |other: &Vector| {
        let pairs = query.components().iter().zip(other.components()).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let dot: f64 = pairs.clone().map(|(a, b)| a * b).sum();
        match query.metric() {
            Metric::Cosine => 1.0 - dot,
            Metric::Dot => -dot,
            Metric::L2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum(),
        }
    };
    let allowed = items.iter().filter(|(key, _)| filter.is_none_or(|filter| filter.contains(**key)));
    let mut all: Vec<_> = allowed.map(|(key, other)| (distance(other), *key)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    all
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<(Key, [i8; 5])>),
    Delete(Vec<Key>),
    Search { query: [i8; 5], k: usize, filter: Option<Vec<Key>>, exact: bool },
    Index(usize),
    Compact,
    Restart,
}

const KEYS: u32 = 120;

fn step() -> impl Strategy<Value = Step> {
    let components = || prop::array::uniform5(-9_i8..=9);
    // From nothing over a few to all.
    let filter = prop_oneof![
        prop::collection::vec(0..KEYS + 10, 0..4),
        prop::collection::vec(0..KEYS + 10, 0..60),
        Just((0..KEYS).collect()),
    ];
    prop_oneof![
        4 => prop::collection::vec((0..KEYS, components()), 0..40).prop_map(Step::Insert),
        3 => prop::collection::vec(0..KEYS + 10, 0..60).prop_map(Step::Delete),
        1 => Just(Step::Delete((0..KEYS).collect())),
        6 => (components(), 0_usize..30, prop::option::of(filter), any::<bool>())
            .prop_map(|(query, k, filter, exact)| Step::Search { query, k, filter, exact }),
        3 => (0_usize..80).prop_map(Step::Index),
        1 => Just(Step::Compact),
        1 => Just(Step::Restart),
    ]
}

/// Small whole numbers, which give ties and doubles; never zero.
fn whole(metric: Metric, components: [i8; 5]) -> Vector {
    let mut components = components.map(f32::from);
    components[4] += 0.5;
    vector(metric, &components)
}

/// An engine, and what should be in it.
struct Model<E> {
    engine: E,
    metric: Metric,
    items: BTreeMap<Key, Vector>,
}

impl<E: Make> Model<E> {
    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Insert(batch) => {
                let batch: BTreeMap<Key, Vector> =
                    batch.into_iter().map(|(key, components)| (key, whole(self.metric, components))).collect();
                let updated = batch.keys().filter(|key| self.items.contains_key(key)).count();
                let done = self.engine.insert(&batch.clone().into_iter().collect::<Vec<_>>()).expect("a valid batch");
                prop_assert_eq!(done, Inserted { added: batch.len() - updated, updated });
                self.items.extend(batch);
            }
            Step::Delete(keys) => {
                let there = keys.iter().filter(|key| self.items.remove(key).is_some()).count();
                prop_assert_eq!(self.engine.delete(&keys), there);
            }
            Step::Search { query, k, filter, exact } => self.search(query, k, filter, exact)?,
            Step::Index(at_most) => {
                let before = self.engine.unindexed();
                prop_assert_eq!(self.engine.index(at_most).expect("memory"), before.saturating_sub(at_most));
                prop_assert_eq!(self.engine.stats().unindexed, self.engine.unindexed());
            }
            Step::Compact => {
                self.engine.compact();
                prop_assert_eq!(self.engine.stats().deleted, 0);
            }
            Step::Restart => {
                let mut snapshot = Vec::new();
                self.engine.save(&mut snapshot).expect("memory takes it");
                let waiting = self.engine.unindexed();
                snapshot.extend([1, 2, 3]);
                let mut from = snapshot.as_slice();
                self.engine = E::load(&mut from, 1).expect("a good snapshot");
                prop_assert_eq!(from, [1, 2, 3], "and nothing behind it");
                prop_assert_eq!(self.engine.unindexed(), waiting);
            }
        }
        self.hold()
    }

    fn search(&self, query: [i8; 5], k: usize, filter: Option<Vec<Key>>, exact: bool) -> Result<(), TestCaseError> {
        let query = whole(self.metric, query);
        let filter: Option<RoaringBitmap> = filter.map(|keys| keys.into_iter().collect());
        let expected = brute(&self.items, &query, k, filter.as_ref());
        let found = find(&self.engine, &query, k, filter.as_ref(), exact);
        prop_assert!(found.len() >= expected.len(), "never fewer than there are");
        let tied = found.iter().skip(k).all(|hit| hit.distance == found[k - 1].distance);
        prop_assert!(tied && found.len() <= k + TIES_MAX, "more only where they tie");
        prop_assert!(found.is_sorted_by(|a, b| (a.distance, a.key) < (b.distance, b.key)), "in order, no doubles");
        for hit in &found {
            let item = self.items.get(&hit.key).map(|item| BTreeMap::from([(hit.key, item.clone())]));
            let truth = item.map(|item| brute(&item, &query, 1, None)[0].0);
            prop_assert!(truth.is_some_and(|truth| (f64::from(hit.distance) - truth).abs() <= 1e-4), "its distance");
            prop_assert!(filter.as_ref().is_none_or(|filter| filter.contains(hit.key)));
        }
        // ef is 64 of at most 120 items: what is not exact may miss a little, not much.
        let good = found.iter().zip(&expected).filter(|(hit, (far, _))| f64::from(hit.distance) <= far + 1e-4).count();
        let enough = if exact || filter.is_some() { expected.len() } else { expected.len() * 8 / 10 };
        prop_assert!(good >= enough, "{} of {}", good, expected.len());
        Ok(())
    }

    fn hold(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.engine.stats().live, self.items.len());
        for (key, item) in &self.items {
            prop_assert_eq!(self.engine.vector(*key), Some(item.components().to_vec()));
        }
        Ok(())
    }
}

fn any_sequence_of_operations_answers_as_brute_force<E: Make>(cases: u32, always_reachable: bool) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let steps = (0..E::METRICS.len(), prop::collection::vec(step(), 1..40));
    let outcome = TestRunner::new(config).run(&steps, |(metric, steps)| {
        let metric = E::METRICS[metric];
        let mut model = Model { engine: small::<E>(metric, 5), metric, items: BTreeMap::new() };
        for step in steps {
            model.take(step)?;
        }
        if always_reachable {
            model.engine.index(usize::MAX).expect("memory");
            model.engine.compact();
            prop_assert_eq!(model.engine.reachable(), model.items.len());
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn ties_are_answered_beyond_k_in_the_order_of_keys<E: Make>() {
    let engine = small::<E>(Metric::L2, 2);
    let (same, far) = (vector(Metric::L2, &[1.0, 2.0]), vector(Metric::L2, &[1.0, 3.0]));
    add(&engine, &[9, 3, 7].map(|key| (key, same.clone())));
    engine.insert(&[(1, same.clone()), (0, far)]).expect("a valid batch");
    let all: RoaringBitmap = (0..10).collect();
    for (filter, exact) in [(None, false), (None, true), (Some(&all), false)] {
        assert_eq!(keys(&find(&engine, &same, 3, filter, exact)), [1, 3, 7, 9]);
        assert_eq!(keys(&find(&engine, &same, 4, filter, exact)), [1, 3, 7, 9]);
        assert_eq!(keys(&find(&engine, &same, 5, filter, exact)), [1, 3, 7, 9, 0]);
    }
    add(&engine, &(10..200).map(|key| (key, same.clone())).collect::<Vec<_>>());
    assert_eq!(find(&engine, &same, 3, None, true).len(), 3 + TIES_MAX);
    let walked = find(&engine, &same, 3, None, false);
    assert!(walked.len() > 3 && walked.iter().all(|hit| hit.distance == 0.0));
}

fn an_empty_index_and_k_of_nothing_or_too_much_are_answered<E: Make>() {
    let engine = small::<E>(Metric::Cosine, 3);
    let query = vector(Metric::Cosine, &[1.0, 2.0, 3.0]);
    assert!(find(&engine, &query, 10, None, false).is_empty());
    engine.insert(&[(0, query.clone())]).expect("a valid batch");
    engine.insert(&[]).expect("a valid batch");
    assert!(find(&engine, &query, 0, None, false).is_empty());
    let found = find(&engine, &query, 1000, None, false);
    assert!(found.len() == 1 && found[0].distance < 1e-6);
    assert_eq!(engine.delete(&[0, 0, 500]), 1);
    assert!(find(&engine, &query, 10, None, false).is_empty() && engine.vector(0).is_none());
    add(&engine, &[(0, query.clone())]);
    assert_eq!(keys(&find(&engine, &query, 10, None, false)), [0]);
}

fn what_does_not_fit_is_refused_whole<E: Make>() {
    let engine = small::<E>(Metric::Cosine, 2);
    let good = vector(Metric::Cosine, &[1.0, 0.0]);
    let long = vector(Metric::Cosine, &[1.0, 0.0, 0.0]);
    let foreign = vector(Metric::L2, &[1.0, 0.0]);
    assert!(matches!(
        engine.insert(&[(0, good.clone()), (1, long)]),
        Err(EngineError::Dimension { expected: 2, found: 3 })
    ));
    assert!(matches!(engine.insert(&[(0, good.clone()), (1, foreign)]), Err(EngineError::Metric { .. })));
    assert!(matches!(engine.insert(&[(0, good.clone()), (KEYS_MAX, good)]), Err(EngineError::Key(KEYS_MAX))));
    assert_eq!(engine.stats().live, 0);
    assert!(E::make(Metric::L2, 0, Options::default()).is_err());
    assert!(E::make(Metric::L2, 2, Options { m: 3, ..Options::default() }).is_err());
}

fn a_damaged_snapshot_is_refused_wherever_the_damage_is<E: Make>() {
    let engine = small::<E>(Metric::L2, 3);
    let mut numbers = Numbers(5);
    let batch: Vec<_> = (0..40).map(|key| (key, numbers.vector(Metric::L2, 3))).collect();
    engine.insert(&batch).expect("a valid batch");
    engine.index(30).expect("memory");
    engine.delete(&[3, 4]);
    let mut good = Vec::new();
    engine.save(&mut good).expect("memory takes it");
    assert!(E::load(&mut good.as_slice(), 1).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        assert!(E::load(&mut bad.as_slice(), 1).is_err(), "byte {at}");
        assert!(E::load(&mut &good[..at], 1).is_err(), "cut at {at}");
    }
}

/// 3,000 items around 30 centres: what a walk, a scan and a comparison of all find must be nearly the same.
fn recall_holds_under_filters_of_every_width_while_some_wait<E: Make>() {
    const COUNT: u32 = 3000;
    let engine = small::<E>(Metric::Cosine, 16);
    let mut numbers = Numbers(9);
    let centres: Vec<Vec<f32>> = (0..30).map(|_| (0..16).map(|_| numbers.next()).collect()).collect();
    let mut around = |key: Key| {
        let centre = &centres[key as usize * 7 % centres.len()];
        vector(Metric::Cosine, &centre.iter().map(|x| x + 0.4 * numbers.next()).collect::<Vec<_>>())
    };
    let items: Vec<_> = (0..COUNT).map(|key| (key, around(key))).collect();
    let queries: Vec<_> = (0..40).map(&mut around).collect();
    engine.insert(&items).expect("a valid batch");
    engine.index(2000).expect("memory");
    // Some of what is linked, some of what waits.
    assert_eq!(engine.delete(&(0..COUNT).step_by(10).collect::<Vec<_>>()), 300);
    for per_mille in [1001, 1000, 500, 350, 100, 10, 1] {
        let filter: RoaringBitmap =
            (0..COUNT).filter(|key| key.wrapping_mul(2_654_435_761) % 1000 < per_mille).collect();
        let asked = (per_mille <= 1000).then_some(&filter);
        let shares = queries.iter().map(|query| {
            let truth = keys(&find(&engine, query, 10, asked, true));
            let found = keys(&find(&engine, query, 10, asked, false));
            assert!(found.iter().all(|key| filter.contains(*key) && key % 10 != 0) && found.len() >= truth.len());
            truth.iter().filter(|key| found.contains(key)).count() as f64 / truth.len().max(1) as f64
        });
        let recall = shares.sum::<f64>() / queries.len() as f64;
        assert!(recall >= 0.95, "{per_mille} ‰: {recall}");
    }
}

#[test]
fn hnsw_rs_has_no_dot() {
    assert!(matches!(HnswRs::new(Metric::Dot, 2, Options::default()), Err(EngineError::Unsupported(Metric::Dot))));
}

#[test]
fn long_unit_vectors_whose_product_rounds_above_one_do_no_harm() {
    // Of all dimensions these round up the most, summed one by one and in eight lanes.
    for dimension in [8178, 7808] {
        let engine = small::<HnswRs>(Metric::Cosine, dimension);
        let same = vector(Metric::Cosine, &vec![0.3; dimension]);
        add(&engine, &[(0, same.clone()), (1, same.clone())]);
        assert!(find(&engine, &same, 2, None, false).iter().all(|hit| hit.distance < 1e-4));
    }
}

macro_rules! behaviours {
    ($engine:ident as $module:ident, $cases:literal, $always_reachable:literal: $($name:ident)*) => {
        mod $module {
            use super::*;

            #[test]
            fn any_sequence_of_operations_answers_as_brute_force() {
                super::any_sequence_of_operations_answers_as_brute_force::<$engine>($cases, $always_reachable);
            }

            #[test]
            fn searches_beside_writers_answer_only_whole_items_that_were_there() {
                super::stress::searches_beside_writers_answer_only_whole_items_that_were_there::<$engine>();
            }

            #[test]
            fn an_item_is_compared_once_while_it_is_replaced() {
                super::stress::an_item_is_compared_once_while_it_is_replaced::<$engine>();
            }

            $(
                #[test]
                fn $name() {
                    super::$name::<$engine>();
                }
            )*
        }
    };
    ($($engine:ident as $module:ident, $cases:literal, $always_reachable:literal;)*) => {
        $(behaviours!($engine as $module, $cases, $always_reachable:
            ties_are_answered_beyond_k_in_the_order_of_keys
            an_empty_index_and_k_of_nothing_or_too_much_are_answered
            what_does_not_fit_is_refused_whole
            a_damaged_snapshot_is_refused_wherever_the_damage_is
            recall_holds_under_filters_of_every_width_while_some_wait
        );)*
    };
}

behaviours! {
    Lake as lake, 150, true;
    HnswRs as hnsw_rs, 40, false;
}
