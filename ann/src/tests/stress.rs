//! Searches beside inserts, deletes, indexing and compaction.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::simd::Kernels;

const DIMENSION: usize = 12;
const BATCH: u32 = 40;
const ROUNDS: u32 = 50;
/// Batches that are there at once.
const KEPT: u32 = 8;

/// Every key has its own vector, given once: a distance that is not to this one is to a torn or recycled
/// row.
fn of(key: Key) -> Vector {
    Numbers(u64::from(key) * 0x9E37_79B9 + 1).vector(Metric::Cosine, DIMENSION)
}

fn batch(round: u32) -> Vec<Key> {
    (round * BATCH..(round + 1) * BATCH).collect()
}

pub(super) fn searches_beside_writers_answer_only_whole_items_that_were_there<E: Make>() {
    let options = Options { m: 8, ef_construction: 40, threads: 2 };
    let engine = E::make(Metric::Cosine, DIMENSION, options).expect("good options");
    // Keys below the first are deleted for certain; from the second on they are not inserted yet.
    let (deleted, begun) = (AtomicU32::new(0), AtomicU32::new(0));
    let done = AtomicBool::new(false);
    let searches = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..ROUNDS {
                begun.store((round + 1) * BATCH, Ordering::SeqCst);
                engine
                    .insert(&batch(round).into_iter().map(|key| (key, of(key))).collect::<Vec<_>>())
                    .expect("a valid batch");
                if let Some(old) = round.checked_sub(KEPT) {
                    assert_eq!(engine.delete(&batch(old)), BATCH as usize);
                    deleted.store((old + 1) * BATCH, Ordering::SeqCst);
                }
            }
        });
        scope.spawn(|| {
            let mut turn = 0_u32;
            while !done.load(Ordering::SeqCst) {
                engine.index(30).expect("memory");
                turn += 1;
                if turn.is_multiple_of(50) {
                    engine.compact();
                }
            }
        });
        for reader in 0..2_u32 {
            let (engine, deleted, begun, done, searches) = (&engine, &deleted, &begun, &done, &searches);
            scope.spawn(move || {
                let kernels = Kernels::detect();
                let mut turn = reader;
                while !done.load(Ordering::SeqCst) {
                    turn += 1;
                    let gone = deleted.load(Ordering::SeqCst);
                    let query = of(turn % (ROUNDS * BATCH));
                    let filter: Option<RoaringBitmap> = turn.is_multiple_of(3).then(|| (0..ROUNDS * BATCH).collect());
                    let hits = find(engine, &query, 10, filter.as_ref(), turn.is_multiple_of(7));
                    let here = begun.load(Ordering::SeqCst);
                    for hit in &hits {
                        assert!((gone..here).contains(&hit.key), "{hit:?} of {gone}..{here}");
                        let distance = Metric::Cosine.measure(&kernels, query.components(), of(hit.key).components());
                        assert_eq!(hit.distance, distance, "{}", hit.key);
                    }
                    searches.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        writer.join().expect("the writer");
        done.store(true, Ordering::SeqCst);
    });
    assert!(searches.into_inner() > 0);
    assert_eq!(engine.stats().live, (KEPT * BATCH) as usize);
    for key in (ROUNDS - KEPT) * BATCH..ROUNDS * BATCH {
        assert_eq!(keys(&find(&engine, &of(key), 1, None, true)), [key]);
    }
}

/// More items than are looked up at once: one that is replaced meanwhile comes again at the end, or not at all,
/// but for what is done about it.
pub(super) fn an_item_is_compared_once_while_it_is_replaced<E: Make>() {
    const ITEMS: u32 = 700;
    let engine = E::make(Metric::Cosine, DIMENSION, Options { m: 8, ef_construction: 40, threads: 1 });
    let engine = engine.expect("good options");
    engine.insert(&(0..ITEMS).map(|key| (key, of(key))).collect::<Vec<_>>()).expect("a valid batch");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..600 {
                engine.insert(&[(5, of(ITEMS + round))]).expect("a valid batch");
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            let mut found = keys(&find(&engine, &of(1), ITEMS as usize, None, true));
            found.sort_unstable();
            assert_eq!(found, (0..ITEMS).collect::<Vec<_>>());
        }
    });
}
