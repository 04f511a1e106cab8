//! A search allocates nothing once an engine is warm: what it needs is kept from one to the next.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ann::lake::Lake;
use ann::{Engine, Hit, Key, Metric, Options, Search, TIES_MAX, Vector};
use roaring::RoaringBitmap;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's word is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's word is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's word is passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const COUNT: Key = 6000;
const K: usize = 10;

fn item(key: Key) -> Vector {
    let components = (0..16_u32).map(|at| ((key * 31 + at * 17 + key * at * 7) % 101) as f32 - 50.0).collect();
    Vector::parse(Metric::Cosine, components).expect("finite, not zero")
}

#[test]
fn a_warm_search_allocates_nothing_by_any_plan() {
    let options = Options { m: 8, ef_construction: 40, threads: 1 };
    let lake = Lake::new(Metric::Cosine, 16, options).expect("good options");
    lake.insert(&(0..COUNT).map(|key| (key, item(key))).collect::<Vec<_>>()).expect("a valid batch");
    lake.index(COUNT as usize - 200).expect("memory");
    // Compared one by one, scanned, stepped over, walked.
    let filters: Vec<RoaringBitmap> =
        [100, 4, 3, 1].map(|step| (0..COUNT).step_by(step).collect()).into_iter().collect();
    let queries: Vec<Vector> = (0..50).map(|at| item(at * 113)).collect();
    let mut hits: Vec<Hit> = Vec::with_capacity(K + TIES_MAX);
    for filter in filters.iter().map(Some).chain([None]) {
        for exact in [false, true] {
            let mut pass = || {
                let before = ALLOCATIONS.get();
                for vector in &queries {
                    lake.search(&Search { vector, k: K, ef: 12, filter, exact }, &mut hits).expect("a valid search");
                    assert!(hits.len() >= K);
                }
                ALLOCATIONS.get() - before
            };
            pass();
            assert_eq!(pass(), 0, "{:?} matches, exact {exact}", filter.map(RoaringBitmap::len));
        }
    }
}
