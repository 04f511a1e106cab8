//! Searches, inserts, updates, deletes and compaction at once.

use std::sync::atomic::AtomicBool;

use super::*;

/// Every stored vector of a key has the key in its first component: a search that sees a recycled or
/// half-written slot answers a distance that fits no version of the item.
fn version(key: Key, version: u32) -> Vector {
    vector(Metric::L2, &[key as f32, (version % 8) as f32, 1.0, 0.0])
}

#[test]
fn searches_beside_writers_see_whole_items_and_never_miss_the_untouched() {
    const UNTOUCHED: u32 = 300;
    const TOUCHED: u32 = 300;
    let options = Options { m: 8, ef_construction: 40, threads: 2 };
    let lake = Lake::new(Metric::L2, 4, options).expect("good options");
    add(&lake, &(0..UNTOUCHED).map(|key| (key * 2, version(key * 2, 0))).collect::<Vec<_>>());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers = [0_u32, 1].map(|writer| {
            let lake = &lake;
            scope.spawn(move || {
                for round in 0..40_u32 {
                    let mine: Vec<Key> =
                        (0..TOUCHED).filter(|item| item % 2 == writer).map(|item| item * 2 + 1).collect();
                    for part in mine.chunks(50) {
                        lake.insert(&part.iter().map(|key| (*key, version(*key, round))).collect::<Vec<_>>())
                            .expect("a valid batch");
                    }
                    if round % 3 == writer {
                        lake.delete(&mine[..mine.len() / 2]);
                    }
                    if round % 2 == writer {
                        lake.index(200).expect("memory");
                    }
                    if round % 10 == 9 {
                        lake.compact();
                    }
                }
            })
        });
        for reader in 0..2_u32 {
            let (lake, done) = (&lake, &done);
            scope.spawn(move || {
                let mut turn = reader;
                while !done.load(Ordering::Relaxed) {
                    turn = (turn + 7) % UNTOUCHED;
                    let hits = find(lake, &version(turn * 2, 0), 8, None, turn.is_multiple_of(5));
                    assert_eq!((hits[0].key, hits[0].distance), (turn * 2, 0.0));
                    for hit in &hits {
                        let across = (hit.key as f32 - (turn * 2) as f32).powi(2);
                        let along = (hit.distance - across).sqrt();
                        assert!(along.fract() == 0.0 && (0.0..8.0).contains(&along), "{hit:?} from {}", turn * 2);
                    }
                }
            });
        }
        for writer in writers {
            writer.join().expect("a writer");
        }
        done.store(true, Ordering::Relaxed);
    });
    lake.compact();
    assert_eq!(lake.reachable(), lake.stats().live);
}

#[test]
fn an_item_under_update_is_always_found() {
    let lake = small::<Lake>(Metric::L2, 4);
    lake.insert(&(0..200).map(|key| (key, version(key, 0))).collect::<Vec<_>>()).expect("a valid batch");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..2000 {
                lake.insert(&[(77, version(77, round))]).expect("a valid batch");
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            // All versions of the item lie within 49 of this; two other items do too, at most.
            for exact in [false, true] {
                assert!(keys(&find(&lake, &version(77, 0), 20, None, exact)).contains(&77));
            }
        }
    });
}
