//! Recall and queries per second of the `lake` engine on one thread, over the data that `ann_peers.py`
//! writes: `ann DIR [ef …]`. With `--filters`, the same under filters; with `--churn`, after five rounds
//! of deleting and adding again half of everything. Times are of the processor, so that a machine with
//! other work to do tells the same.

#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use roaring::RoaringBitmap;
use rustix::time::{ClockId, clock_gettime};
use vectord::engine::lake::{Lake, Options};
use vectord::engine::{Engine, Hit, Metric, Search, Vector};

const K: usize = 10;
type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut args = env::args().skip(1);
    let folder = args.next().ok_or("usage: ann DIR [--filters] [--churn] [ef ...]")?;
    let (mut efs, mut filters, mut churn) = (Vec::new(), false, false);
    for arg in args {
        match arg.as_str() {
            "--filters" => filters = true,
            "--churn" => churn = true,
            number => efs.push(number.parse::<usize>()?),
        }
    }
    if efs.is_empty() {
        efs = vec![16, 24, 32, 48, 64, 96, 128, 192, 256, 384];
    }
    let folder = Path::new(&folder);
    let (base, query) = (fs::read(folder.join("base.f32"))?, fs::read(folder.join("query.f32"))?);
    let truth: Vec<u32> = words(&fs::read(folder.join("truth.i32"))?).collect();
    let dimension = query.len() / 4 / (truth.len() / K);
    let base = vectors(&base, dimension)?;
    let query = vectors(&query, dimension)?;
    let number = |name: &str, default: usize| env::var(name).ok().and_then(|x| x.parse().ok()).unwrap_or(default);
    let options = Options { m: number("M", 16), ef_construction: number("EFC", 200), threads: number("THREADS", 2) };
    let lake = Lake::new(Metric::Cosine, dimension, options)?;
    let batch: Vec<_> = (0..).zip(base.iter().cloned()).collect();
    let start = Clock::start();
    lake.insert(&batch)?;
    println!("lake {} {options:?} build {:.2} s of processor", lake.instructions(), start.elapsed().as_secs_f64());
    if env::var("COMPACT").is_ok() {
        let start = Clock::start();
        lake.compact();
        println!("compact {:.2} s", start.elapsed().as_secs_f64());
    }
    report(&lake, base.len() * dimension * 4);
    sweep_efs(&lake, &query, &truth, &efs)?;
    if filters {
        measure_filters(&lake, &query, base.len() as u32)?;
    }
    if churn {
        for round in 0..5_u32 {
            let (keys, back): (Vec<_>, Vec<_>) = batch
                .iter()
                .filter(|(key, _)| (key / 7 + round) % 2 == 0)
                .map(|(key, vector)| (*key, (*key, vector.clone())))
                .unzip();
            let start = Clock::start();
            keys.chunks(1000).for_each(|keys| {
                lake.delete(keys);
            });
            let deleted = start.elapsed();
            for back in back.chunks(1000) {
                lake.insert(back)?;
            }
            println!(
                "round {round}: delete {:.1} s, add {:.1} s",
                deleted.as_secs_f64(),
                (start.elapsed() - deleted).as_secs_f64()
            );
            report(&lake, base.len() * dimension * 4);
            sweep_efs(&lake, &query, &truth, &[64, 128])?;
        }
    }
    Ok(())
}

/// Processor time of the whole program: what the clock on the wall shows on an idle machine, for one
/// thread.
struct Clock(Duration);

impl Clock {
    fn start() -> Self {
        Self(Self::now())
    }

    fn now() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    fn elapsed(&self) -> Duration {
        Self::now() - self.0
    }
}

fn report(lake: &Lake, raw_bytes: usize) {
    let stats = lake.stats();
    let (share, reachable) = (stats.memory_bytes as f64 / raw_bytes as f64, lake.reachable());
    println!("memory {share:.3} x raw, live {}, reachable {reachable}, deleted {}", stats.live, stats.deleted);
}

fn sweep_efs(lake: &Lake, query: &[Vector], truth: &[u32], efs: &[usize]) -> Result<(), Failure> {
    for ef in efs {
        let searches = query.iter().map(|vector| Search { vector, k: K, ef: *ef, filter: None, exact: false });
        // The first pass warms up; the best of three stands for the machine without its other guests.
        let mut best = Duration::MAX;
        let mut recall = 0.0;
        for _ in 0..4 {
            let start = Clock::start();
            let found = run(lake, searches.clone())?;
            best = best.min(start.elapsed());
            recall = found.iter().zip(truth.chunks(K)).map(|(hits, truth)| share(hits, truth)).sum::<f64>()
                / query.len() as f64;
        }
        println!("lake ef {ef:4} recall@10 {recall:.4} {:8.0} queries/s", query.len() as f64 / best.as_secs_f64());
    }
    Ok(())
}

fn measure_filters(lake: &Lake, query: &[Vector], count: u32) -> Result<(), Failure> {
    let query = &query[..query.len().min(200)];
    for per_mille in [500, 350, 200, 100, 50, 10, 1] {
        // Spread over everything, and all around one item (so far from most queries).
        let spread: RoaringBitmap =
            (0..count).filter(|key| key.wrapping_mul(2_654_435_761) % 1000 < per_mille).collect();
        let mut near = Vec::new();
        lake.search(
            &Search { vector: &query[0], k: (count * per_mille / 1000) as usize, ef: 10, filter: None, exact: true },
            &mut near,
        )?;
        let near: RoaringBitmap = near.iter().map(|hit| hit.key).collect();
        for (name, filter) in [("spread", spread), ("together", near)] {
            let search = |exact| query.iter().map(move |vector| (vector, exact));
            let searches = |exact| {
                search(exact).map(|(vector, exact)| Search { vector, k: K, ef: 128, filter: Some(&filter), exact })
            };
            let expected = run(lake, searches(true))?;
            let start = Clock::start();
            let found = run(lake, searches(false))?;
            let each = start.elapsed().as_secs_f64() * 1e6 / query.len() as f64;
            let keys = |hits: &[Hit]| hits.iter().map(|hit| hit.key).collect::<Vec<_>>();
            let recall = found.iter().zip(&expected).map(|(hits, truth)| share(hits, &keys(truth))).sum::<f64>()
                / query.len() as f64;
            println!("filter {:5.1} % {name:8} recall@10 {recall:.4} {each:7.0} us", f64::from(per_mille) / 10.0);
        }
    }
    Ok(())
}

fn run<'a>(lake: &Lake, searches: impl Iterator<Item = Search<'a>>) -> Result<Vec<Vec<Hit>>, Failure> {
    let mut found = Vec::new();
    for search in searches {
        let mut hits = Vec::with_capacity(64);
        lake.search(&search, &mut hits)?;
        found.push(hits);
    }
    Ok(found)
}

fn share(hits: &[Hit], truth: &[u32]) -> f64 {
    hits.iter().filter(|hit| truth.contains(&hit.key)).count() as f64 / truth.len().max(1) as f64
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))
}

fn vectors(bytes: &[u8], dimension: usize) -> Result<Vec<Vector>, Failure> {
    let floats: Vec<f32> = words(bytes).map(f32::from_bits).collect();
    Ok(floats.chunks(dimension).map(|row| Vector::parse(Metric::Cosine, row.to_vec())).collect::<Result<_, _>>()?)
}
