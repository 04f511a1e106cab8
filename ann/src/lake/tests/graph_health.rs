//! Recall and reachability, on data small enough for every test run.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::lake::plan::Plan;
use crate::lake::scratch::Slot;

const COUNT: u32 = 3000;
const DIMENSION: usize = 24;

/// Vectors around a few centres, so that neighbourhoods differ in density.
fn clustered(metric: Metric, count: u32, seed: u64) -> Vec<(Key, Vector)> {
    let mut numbers = Numbers(seed);
    let centres: Vec<Vec<f32>> = (0..30).map(|_| (0..DIMENSION).map(|_| numbers.next()).collect()).collect();
    let item = |key: Key, numbers: &mut Numbers| {
        let centre = &centres[key as usize * 7 % centres.len()];
        vector(metric, &centre.iter().map(|x| x + 0.4 * numbers.next()).collect::<Vec<_>>())
    };
    (0..count).map(|key| (key, item(key, &mut numbers))).collect()
}

fn recall(lake: &Lake, queries: &[(Key, Vector)], filter: Option<&RoaringBitmap>) -> f64 {
    let found = queries.iter().map(|(_, query)| {
        let truth = keys(&find(lake, query, 10, filter, true));
        let found = keys(&find(lake, query, 10, filter, false));
        assert_eq!(truth.len(), found.len());
        truth.iter().filter(|key| found.contains(key)).count() as f64 / truth.len().max(1) as f64
    });
    found.sum::<f64>() / queries.len() as f64
}

fn filled(metric: Metric, threads: usize) -> Lake {
    filled_with(&clustered(metric, COUNT, 1), threads)
}

fn filled_with(items: &[(Key, Vector)], threads: usize) -> Lake {
    let options = Options { m: 12, ef_construction: 100, threads };
    let lake = Lake::new(items[0].1.metric(), DIMENSION, options).expect("good options");
    add(&lake, items);
    lake
}

#[test]
fn recall_is_high_by_every_metric_and_number_of_threads() {
    for metric in METRICS {
        for threads in [1, 3] {
            let lake = filled(metric, threads);
            let recall = recall(&lake, &clustered(metric, 100, 2), None);
            // The largest dot products are with the longest vectors, which are few vectors' neighbours.
            let floor = if metric == Metric::Dot { 0.85 } else { 0.97 };
            assert!(recall >= floor, "{metric:?}, {threads} threads: {recall}");
            assert_eq!(lake.reachable(), COUNT as usize);
        }
    }
}

#[test]
fn one_thread_builds_the_same_graph_every_time() {
    let snapshot = || {
        let mut bytes = Vec::new();
        filled(Metric::Cosine, 1).save(&mut bytes).expect("memory takes it");
        bytes
    };
    assert!(snapshot() == snapshot());
}

#[test]
fn recall_holds_under_filters_of_every_width_near_and_far() {
    let lake = filled(Metric::Cosine, 1);
    let queries = clustered(Metric::Cosine, 60, 3);
    for per_mille in [1, 10, 100, 500] {
        let spread = (0..COUNT).filter(|key| key.wrapping_mul(2_654_435_761) % 1000 < per_mille).collect();
        let near =
            keys(&find(&lake, &queries[0].1, (COUNT * per_mille / 1000) as usize, None, true)).into_iter().collect();
        for filter in [spread, near] {
            let recall = recall(&lake, &queries, Some(&filter));
            assert!(recall >= 0.95, "{per_mille} ‰: {recall}");
        }
    }
}

#[test]
fn every_plan_finds_what_matches() {
    let lake = filled(Metric::Cosine, 1);
    let filter: RoaringBitmap = (0..COUNT).filter(|key| key % 3 == 0).collect();
    for two_hop in [false, true] {
        let mut shares = 0.0;
        let queries = clustered(Metric::Cosine, 60, 4);
        for (_, query) in &queries {
            let truth = keys(&find(&lake, query, 10, Some(&filter), true));
            let mut sitting = lake.seats.sit();
            let mut prepared = query::Query::default();
            lake.vectors.query(&mut prepared, query.components());
            lake.walk_filtered(&sitting.pin, &mut sitting.scratch, &prepared, &filter, 64, two_hop);
            let found: Vec<_> =
                sitting.scratch.pool.entries().iter().filter_map(|entry| lake.space.key(entry.slot())).collect();
            assert!(found.iter().all(|key| filter.contains(*key)));
            shares += truth.iter().filter(|key| found.contains(key)).count() as f64 / 10.0;
        }
        assert!(shares / queries.len() as f64 >= 0.95, "two_hop {two_hop}: {shares}");
    }
}

#[test]
fn what_waits_is_found_beside_every_walk() {
    let lake = filled(Metric::Cosine, 1);
    let waiting: Vec<_> =
        clustered(Metric::Cosine, 1000, 8).into_iter().map(|(key, item)| (COUNT + key, item)).collect();
    lake.insert(&waiting).expect("a valid batch");
    // Of 4,000: no filter, enough to walk through all, and few enough to step over what does not match.
    // Some of every cluster match.
    let most = (0..COUNT + 1000).filter(|key| key / 30 % 3 != 0).collect();
    let some = (0..COUNT + 1000).filter(|key| key / 30 % 3 == 0).collect();
    for (filter, plan) in [(None, Plan::Graph), (Some(&most), Plan::Graph), (Some(&some), Plan::TwoHop)] {
        let matches = filter.map_or(4000, |filter: &RoaringBitmap| filter.len() as usize);
        assert_eq!(Plan::of(matches, 4000, filter.is_some(), 1), plan);
        for (key, item) in waiting.iter().filter(|(key, _)| filter.is_none_or(|filter| filter.contains(*key))) {
            let (mut hits, search) = (Vec::new(), Search { vector: item, k: 5, ef: 1, filter, exact: false });
            lake.search(&search, &mut hits).expect("a valid search");
            assert_eq!(hits[0].key, *key);
            assert!(hits.iter().all(|hit| filter.is_none_or(|filter| filter.contains(hit.key))));
        }
    }
}

/// Half of all deleted and added again, in parts, under searches: the answers of a graph built anew of the
/// same items, and its memory.
fn churn(is_gone: impl Fn(Key, u32) -> bool) {
    const SEEDS: [u64; 3] = [1, 11, 21];
    let mut lost = [0.0; 5];
    for seed in SEEDS {
        let items = clustered(Metric::Cosine, COUNT, seed);
        let queries = clustered(Metric::Cosine, 200, seed + 100);
        let lake = filled_with(&items, 2);
        let (fresh, memory) = (recall(&filled_with(&items, 2), &queries, None), lake.stats().memory_bytes);
        for (round, lost) in (0..).zip(&mut lost) {
            let (gone, stay): (Vec<_>, Vec<_>) = items.iter().cloned().partition(|(key, _)| is_gone(*key, round));
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        queries.iter().for_each(|(_, query)| assert!(find(&lake, query, 10, None, false).len() >= 10));
                    }
                });
                for part in gone.chunks(100) {
                    lake.delete(&part.iter().map(|(key, _)| *key).collect::<Vec<_>>());
                    lake.index(100).expect("memory");
                }
                done.store(true, Ordering::Relaxed);
            });
            assert_eq!(lake.stats().live, stay.len());
            if round == 0 {
                let (now, fresh) = (recall(&lake, &queries, None), recall(&filled_with(&stay, 2), &queries, None));
                assert!(now >= fresh - 0.01, "{now} after deleting, {fresh} afresh");
            }
            gone.chunks(100).for_each(|part| add(&lake, part));
            *lost += (fresh - recall(&lake, &queries, None)) / SEEDS.len() as f64;
        }
        lake.compact();
        assert_eq!(lake.reachable(), COUNT as usize);
        assert!(lake.stats().memory_bytes <= memory * 11 / 10);
    }
    assert!(lost.iter().all(|lost| *lost <= 0.01), "{lost:.4?}");
}

#[test]
fn rounds_of_deleting_any_half_and_adding_it_again_cost_neither_recall_nor_memory() {
    churn(|key, round| (u64::from(key) + 7 * u64::from(round) * 1000).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 0);
}

#[test]
fn rounds_of_deleting_whole_clusters_and_adding_them_again_cost_neither_recall_nor_memory() {
    churn(|key, round| (key % 30 + round) % 2 == 0);
}

#[test]
fn deleting_everything_zeroes_it_and_leaves_room_for_more() {
    let lake = filled(Metric::L2, 1);
    let used = lake.space.slots_used();
    assert_eq!(lake.delete(&(0..COUNT).collect::<Vec<_>>()), COUNT as usize);
    assert_eq!((lake.stats().live, lake.stats().deleted, lake.reachable()), (0, 0, 0));
    {
        let sitting = lake.seats.sit();
        assert!((0..used).all(|slot| lake.vectors.floats(&sitting.pin, slot).iter().all(|x| *x == 0.0)));
    }
    add(&lake, &clustered(Metric::L2, COUNT, 6));
    assert_eq!((lake.space.slots_used(), lake.reachable()), (used, COUNT as usize));
    assert!(recall(&lake, &clustered(Metric::L2, 50, 7), None) >= 0.97);
}

#[test]
fn slots_cut_off_from_the_graph_are_linked_again() {
    let lake = filled(Metric::Cosine, 1);
    let cut: Vec<Slot> = (100..160).collect();
    for slot in 0..COUNT {
        for level in 0..=lake.graph.level(slot) {
            let rest: Vec<_> = lake
                .graph
                .neighbours(level, slot)
                .filter(|other| !cut.contains(other) || lake.graph.level(*other) > 0)
                .collect();
            lake.graph.set(level, slot, rest);
        }
    }
    assert!(lake.reachable() < COUNT as usize);
    lake.compact();
    assert_eq!(lake.reachable(), COUNT as usize);
}

/// Fewer than are taken out at the delete itself.
#[test]
fn items_take_what_deletes_have_left_before_they_take_more() {
    let lake = filled(Metric::L2, 1);
    let used = lake.space.slots_used();
    let gone: Vec<_> = (0..COUNT / 6).collect();
    for round in 0..3_u64 {
        lake.delete(&gone);
        assert_eq!(lake.stats().deleted, gone.len(), "round {round}: they wait to be taken out");
        add(&lake, &clustered(Metric::L2, COUNT / 6, 6 + round));
        assert_eq!(lake.space.slots_used(), used, "round {round}");
    }
    assert_eq!(lake.reachable(), COUNT as usize);
}
