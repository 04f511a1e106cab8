use std::collections::BTreeMap;

use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::*;

mod concurrent;
mod graph_health;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

/// Numbers that look random and are the same on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn vector(&mut self, metric: Metric, dimension: usize) -> Vector {
        Vector::parse(metric, (0..dimension).map(|_| self.next()).collect()).expect("finite, not zero")
    }
}

fn lake(metric: Metric, dimension: usize) -> Lake {
    let options = Options { m: 8, ef_construction: 64, threads: 1 };
    Lake::new(metric, dimension, options).expect("good options")
}

fn vector(metric: Metric, components: &[f32]) -> Vector {
    Vector::parse(metric, components.to_vec()).expect("good vector")
}

fn find(lake: &Lake, vector: &Vector, k: usize, filter: Option<&RoaringBitmap>, exact: bool) -> Vec<Hit> {
    let mut hits = Vec::new();
    lake.search(&Search { vector, k, ef: 64, filter, exact }, &mut hits).expect("a valid search");
    hits
}

fn keys(hits: &[Hit]) -> Vec<Key> {
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
    Compact,
    Restart,
}

const KEYS: u32 = 120;

fn step() -> impl Strategy<Value = Step> {
    let components = || prop::array::uniform5(-9_i8..=9);
    prop_oneof![
        4 => prop::collection::vec((0..KEYS, components()), 0..40).prop_map(Step::Insert),
        3 => prop::collection::vec(0..KEYS + 10, 0..60).prop_map(Step::Delete),
        1 => Just(Step::Delete((0..KEYS).collect())),
        6 => (components(), 0_usize..30, prop::option::of(prop::collection::vec(0..KEYS + 10, 0..60)), any::<bool>())
            .prop_map(|(query, k, filter, exact)| Step::Search { query, k, filter, exact }),
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_operations_answers_as_brute_force(metric in 0_usize..3, steps in prop::collection::vec(step(), 1..40)) {
        let metric = METRICS[metric];
        let mut lake = lake(metric, 5);
        let mut items: BTreeMap<Key, Vector> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(batch) => {
                    let batch: BTreeMap<Key, Vector> = batch.into_iter().map(|(key, components)| (key, whole(metric, components))).collect();
                    let updated = batch.keys().filter(|key| items.contains_key(key)).count();
                    let done = lake.insert(&batch.clone().into_iter().collect::<Vec<_>>()).expect("a valid batch");
                    prop_assert_eq!(done, Inserted { added: batch.len() - updated, updated });
                    items.extend(batch);
                }
                Step::Delete(keys) => {
                    let there = keys.iter().filter(|key| items.remove(key).is_some()).count();
                    prop_assert_eq!(lake.delete(&keys), there);
                }
                Step::Search { query, k, filter, exact } => {
                    let query = whole(metric, query);
                    let filter: Option<RoaringBitmap> = filter.map(|keys| keys.into_iter().collect());
                    let expected = brute(&items, &query, k, filter.as_ref());
                    let found = find(&lake, &query, k, filter.as_ref(), exact);
                    prop_assert_eq!(found.len(), expected.len(), "never fewer than there are");
                    prop_assert!(found.is_sorted_by(|a, b| (a.distance, a.key) < (b.distance, b.key)), "in order, no doubles");
                    for hit in &found {
                        let other = &items[&hit.key];
                        let truth = brute(&BTreeMap::from([(hit.key, other.clone())]), &query, 1, None)[0].0;
                        prop_assert!((f64::from(hit.distance) - truth).abs() <= 1e-4, "its own distance");
                        prop_assert!(filter.as_ref().is_none_or(|filter| filter.contains(hit.key)));
                    }
                    // ef is 64 of at most 120 items: what is not exact may miss a little, not much.
                    let good = found.iter().zip(&expected).filter(|(hit, (distance, _))| f64::from(hit.distance) <= distance + 1e-4).count();
                    let enough = if exact || filter.is_some() { expected.len() } else { expected.len() * 8 / 10 };
                    prop_assert!(good >= enough, "{} of {}", good, expected.len());
                }
                Step::Compact => {
                    lake.compact();
                    prop_assert_eq!(lake.stats().deleted, 0);
                    prop_assert_eq!(lake.reachable(), items.len());
                }
                Step::Restart => {
                    let mut snapshot = Vec::new();
                    lake.save(&mut snapshot).expect("memory takes it");
                    lake = Lake::load(&mut snapshot.as_slice(), 1).expect("a good snapshot");
                    prop_assert_eq!(lake.reachable(), items.len());
                }
            }
            prop_assert_eq!(lake.stats().live, items.len());
            for (key, item) in &items {
                prop_assert_eq!(lake.vector(*key), Some(item.components().to_vec()));
            }
        }
    }
}

#[test]
fn ties_fall_to_the_smaller_key() {
    let lake = lake(Metric::L2, 2);
    let same = vector(Metric::L2, &[1.0, 2.0]);
    lake.insert(&[9, 3, 7, 1].map(|key| (key, same.clone()))).expect("a valid batch");
    for exact in [false, true] {
        assert_eq!(keys(&find(&lake, &same, 3, None, exact)), [1, 3, 7]);
    }
}

#[test]
fn an_empty_index_and_k_of_nothing_or_too_much_are_answered() {
    let lake = lake(Metric::Cosine, 3);
    let query = vector(Metric::Cosine, &[1.0, 2.0, 3.0]);
    assert!(find(&lake, &query, 10, None, false).is_empty());
    lake.insert(&[(0, query.clone())]).expect("a valid batch");
    lake.insert(&[]).expect("a valid batch");
    assert!(find(&lake, &query, 0, None, false).is_empty());
    let found = find(&lake, &query, 1000, None, false);
    assert!(found.len() == 1 && found[0].distance < 1e-6);
    assert_eq!(lake.delete(&[0, 0, 500]), 1);
    assert!(find(&lake, &query, 10, None, false).is_empty() && lake.vector(0).is_none());
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let lake = lake(Metric::Cosine, 2);
    let good = vector(Metric::Cosine, &[1.0, 0.0]);
    let long = vector(Metric::Cosine, &[1.0, 0.0, 0.0]);
    let foreign = vector(Metric::L2, &[1.0, 0.0]);
    assert!(matches!(
        lake.insert(&[(0, good.clone()), (1, long)]),
        Err(EngineError::Dimension { expected: 2, found: 3 })
    ));
    assert!(matches!(lake.insert(&[(0, good.clone()), (1, foreign)]), Err(EngineError::Metric { .. })));
    assert!(matches!(lake.insert(&[(0, good.clone()), (KEYS_MAX, good)]), Err(EngineError::Key(KEYS_MAX))));
    assert_eq!(lake.stats().live, 0);
    assert!(Lake::new(Metric::L2, 0, Options::default()).is_err());
    assert!(Lake::new(Metric::L2, 2, Options { m: 3, ..Options::default() }).is_err());
}

#[test]
fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
    let lake = lake(Metric::Dot, 3);
    let mut numbers = Numbers(5);
    let batch: Vec<_> = (0..40).map(|key| (key, numbers.vector(Metric::Dot, 3))).collect();
    lake.insert(&batch).expect("a valid batch");
    lake.delete(&[3, 4]);
    let mut good = Vec::new();
    lake.save(&mut good).expect("memory takes it");
    assert!(Lake::load(&mut good.as_slice(), 1).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        assert!(Lake::load(&mut bad.as_slice(), 1).is_err(), "byte {at}");
        assert!(Lake::load(&mut &good[..at], 1).is_err(), "cut at {at}");
    }
}
