//! Measures an engine on the data that `ann_peers.py` writes: one JSON object per line.
//!
//! Times are of the processor (all threads together), so that a machine with other work to do tells the
//! same; for one thread that is what the clock on the wall shows on an idle machine. `wall_seconds` is beside them.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ann::hnsw_rs::HnswRs;
use ann::lake::Lake;
use ann::{Engine, Hit, Key, Metric, Options, Search, Vector};
use roaring::RoaringBitmap;
use rustix::time::{ClockId, clock_gettime};

const USAGE: &str = "ann DIR [--engine lake|hnsw_rs] [--m 16] [--ef-construction 200] [--threads 2] [--limit ITEMS]
    [--filters] [--churn] [--snapshot FILE] [ef ...]";
const K: usize = 10;
const BATCH: usize = 1000;
const EFS: [usize; 10] = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384];
const EF_FILTERED: usize = 128;
const ROUNDS: u32 = 5;
type Failure = Box<dyn Error>;

struct Args {
    folder: PathBuf,
    engine: String,
    options: Options,
    limit: usize,
    filters: bool,
    churn: bool,
    snapshot: Option<PathBuf>,
    efs: Vec<usize>,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut parsed = Self {
            folder: args.next().ok_or(USAGE)?.into(),
            engine: "lake".to_owned(),
            options: Options { threads: 2, ..Options::default() },
            limit: usize::MAX,
            filters: false,
            churn: false,
            snapshot: None,
            efs: Vec::new(),
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(USAGE);
            match arg.as_str() {
                "--engine" => parsed.engine = value()?,
                "--m" => parsed.options.m = value()?.parse()?,
                "--ef-construction" => parsed.options.ef_construction = value()?.parse()?,
                "--threads" => parsed.options.threads = value()?.parse()?,
                "--limit" => parsed.limit = value()?.parse()?,
                "--snapshot" => parsed.snapshot = Some(value()?.into()),
                "--filters" => parsed.filters = true,
                "--churn" => parsed.churn = true,
                ef => parsed.efs.push(ef.parse().map_err(|_| USAGE)?),
            }
        }
        if parsed.efs.is_empty() {
            parsed.efs = EFS.to_vec();
        }
        Ok(parsed)
    }
}

/// Vectors to index, vectors to look for, and the ten nearest of each of those.
struct Data {
    dimension: usize,
    base: Vec<Vector>,
    query: Vec<Vector>,
    truth: Vec<Vec<Key>>,
}

impl Data {
    fn read(folder: &Path, limit: usize) -> Result<Self, Failure> {
        let (base, query) = (fs::read(folder.join("base.f32"))?, fs::read(folder.join("query.f32"))?);
        let truth: Vec<Key> = words(&fs::read(folder.join("truth.i32"))?).collect();
        let dimension = query.len() / size_of::<f32>() / (truth.len() / K);
        let mut base = vectors(&base, dimension)?;
        let query = vectors(&query, dimension)?;
        if limit >= base.len() {
            return Ok(Self { dimension, base, query, truth: truth.chunks(K).map(<[Key]>::to_vec).collect() });
        }
        base.truncate(limit);
        let truth = Vec::new();
        Ok(Self { dimension, base, query, truth })
    }

    fn raw_bytes(&self) -> usize {
        self.base.len() * self.dimension * size_of::<f32>()
    }

    fn batch(&self) -> Vec<(Key, Vector)> {
        (0..).zip(self.base.iter().cloned()).collect()
    }
}

struct Bench<'a> {
    name: &'a str,
    engine: &'a dyn Engine,
    data: &'a Data,
    truth: Vec<Vec<Key>>,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse(std::env::args().skip(1))?;
    let data = Data::read(&args.folder, args.limit)?;
    let engine = new_engine(&args, data.dimension)?;
    let watch = Watch::start();
    fill(&*engine, &data.batch())?;
    let truth = if data.truth.is_empty() { exact(&*engine, &data.query, None)? } else { data.truth.clone() };
    let bench = Bench { name: &args.engine, engine: &*engine, data: &data, truth };
    bench.say("build", &watch.fields());
    bench.memory()?;
    args.efs.iter().try_for_each(|ef| bench.search(*ef))?;
    if args.filters {
        bench.filters()?;
    }
    if let Some(file) = &args.snapshot {
        bench.snapshot(file, args.options.threads)?;
    }
    if args.churn { bench.churn(&args) } else { Ok(()) }
}

fn new_engine(args: &Args, dimension: usize) -> Result<Box<dyn Engine>, Failure> {
    match args.engine.as_str() {
        "lake" => Ok(Box::new(Lake::new(Metric::Cosine, dimension, args.options)?)),
        "hnsw_rs" => Ok(Box::new(HnswRs::new(Metric::Cosine, dimension, args.options)?)),
        _ => Err(USAGE.into()),
    }
}

fn fill(engine: &dyn Engine, batch: &[(Key, Vector)]) -> Result<(), Failure> {
    for part in batch.chunks(BATCH) {
        engine.insert(part)?;
    }
    while engine.index(usize::MAX)? > 0 {}
    Ok(())
}

impl Bench<'_> {
    fn say(&self, what: &str, fields: &str) {
        println!(r#"{{"engine":"{}","what":"{what}",{fields}}}"#, self.name);
    }

    fn memory(&self) -> Result<(), Failure> {
        let stats = self.engine.stats();
        let per_raw = stats.memory_bytes as f64 / self.data.raw_bytes() as f64;
        let fields = format!(
            r#""memory_bytes":{},"per_raw":{per_raw:.3},"live":{},"deleted":{},"reachable":{}"#,
            stats.memory_bytes,
            stats.live,
            stats.deleted,
            self.engine.reachable()
        );
        self.say("memory", &fields);
        Ok(())
    }

    fn search(&self, ef: usize) -> Result<(), Failure> {
        let (recall, seconds) = measure(self.engine, &self.data.query, &self.truth, ef, None)?;
        self.say("search", &format!(r#""ef":{ef},"recall":{recall:.4},"qps":{:.0}"#, 1.0 / seconds));
        Ok(())
    }

    /// Matches spread over everything, and all around one item (so far from most queries).
    fn filters(&self) -> Result<(), Failure> {
        let query = &self.data.query[..self.data.query.len().min(200)];
        let truth: Vec<_> = self.truth.iter().take(query.len()).cloned().collect();
        let (_, unfiltered) = measure(self.engine, query, &truth, EF_FILTERED, None)?;
        let count = self.data.base.len() as u32;
        for per_mille in [500, 350, 200, 100, 50, 10, 1] {
            let wanted = (count as usize * per_mille as usize / 1000).max(K);
            let spread = (0..count).filter(|key| key.wrapping_mul(2_654_435_761) % 1000 < per_mille).collect();
            let mut near = Vec::new();
            self.engine
                .search(&Search { vector: &query[0], k: wanted, ef: 1, filter: None, exact: true }, &mut near)?;
            let together: RoaringBitmap = near.iter().take(wanted).map(|hit| hit.key).collect();
            for (kind, filter) in [("spread", spread), ("together", together)] {
                let truth = exact(self.engine, query, Some(&filter))?;
                let (recall, seconds) = measure(self.engine, query, &truth, EF_FILTERED, Some(&filter))?;
                let fields = format!(
                    r#""ef":{EF_FILTERED},"percent":{},"matches":"{kind}","recall":{recall:.4},"us":{:.0},"per_unfiltered":{:.2}"#,
                    f64::from(per_mille) / 10.0,
                    seconds * 1e6,
                    seconds / unfiltered
                );
                self.say("filter", &fields);
            }
        }
        Ok(())
    }

    /// Half of everything deleted and added again, five times, against a fresh build of the same.
    fn churn(&self, args: &Args) -> Result<(), Failure> {
        let batch = self.data.batch();
        let fresh = new_engine(args, self.data.dimension)?;
        fill(&*fresh, &batch)?;
        let efs: Vec<usize> = args.efs.iter().copied().filter(|ef| [64, 128].contains(ef)).collect();
        for ef in &efs {
            let (recall, _) = measure(&*fresh, &self.data.query, &self.truth, *ef, None)?;
            self.say("fresh", &format!(r#""ef":{ef},"recall":{recall:.4}"#));
        }
        for round in 0..ROUNDS {
            let half: Vec<_> = batch.iter().filter(|(key, _)| (key / 7 + round) % 2 == 0).cloned().collect();
            let watch = Watch::start();
            for part in half.chunks(BATCH) {
                self.engine.delete(&part.iter().map(|(key, _)| *key).collect::<Vec<_>>());
                self.engine.index(BATCH)?;
            }
            self.say("delete", &format!(r#""round":{round},{}"#, watch.fields()));
            let watch = Watch::start();
            for part in half.chunks(BATCH) {
                self.engine.insert(part)?;
                while self.engine.index(BATCH)? > 0 {}
            }
            self.say("add", &format!(r#""round":{round},{}"#, watch.fields()));
            self.memory()?;
            efs.iter().try_for_each(|ef| self.search(*ef))?;
        }
        Ok(())
    }

    fn snapshot(&self, file: &Path, threads: usize) -> Result<(), Failure> {
        let watch = Watch::start();
        let mut to = fs::File::create(file)?;
        self.engine.save(&mut to)?;
        self.say("save", &format!(r#""bytes":{},{}"#, to.metadata()?.len(), watch.fields()));
        let watch = Watch::start();
        let mut from = fs::File::open(file)?;
        let live = match self.name {
            "lake" => Lake::load(&mut from, threads)?.stats().live,
            _ => HnswRs::load(&mut from, threads)?.stats().live,
        };
        self.say("load", &format!(r#""live":{live},{}"#, watch.fields()));
        Ok(())
    }
}

/// Recall and seconds of the processor per query. The first pass warms up; the best of three stands for the
/// machine without its other guests.
fn measure(
    engine: &dyn Engine,
    query: &[Vector],
    truth: &[Vec<Key>],
    ef: usize,
    filter: Option<&RoaringBitmap>,
) -> Result<(f64, f64), Failure> {
    let (mut best, mut found) = (Duration::MAX, Vec::new());
    for _ in 0..4 {
        let start = cpu();
        found = query
            .iter()
            .map(|vector| run(engine, &Search { vector, k: K, ef, filter, exact: false }))
            .collect::<Result<Vec<_>, _>>()?;
        best = best.min(cpu() - start);
    }
    let recall: f64 = found.iter().zip(truth).map(|(hits, truth)| share(hits, truth)).sum();
    Ok((recall / query.len() as f64, best.as_secs_f64() / query.len() as f64))
}

fn exact(engine: &dyn Engine, query: &[Vector], filter: Option<&RoaringBitmap>) -> Result<Vec<Vec<Key>>, Failure> {
    let nearest = |vector| {
        let hits = run(engine, &Search { vector, k: K, ef: K, filter, exact: true })?;
        Ok(hits.iter().take(K).map(|hit| hit.key).collect())
    };
    query.iter().map(nearest).collect()
}

fn run(engine: &dyn Engine, search: &Search<'_>) -> Result<Vec<Hit>, Failure> {
    let mut hits = Vec::with_capacity(K);
    engine.search(search, &mut hits)?;
    Ok(hits)
}

fn share(hits: &[Hit], truth: &[Key]) -> f64 {
    hits.iter().filter(|hit| truth.contains(&hit.key)).count() as f64 / truth.len().max(1) as f64
}

struct Watch {
    cpu: Duration,
    wall: Instant,
}

impl Watch {
    fn start() -> Self {
        Self { cpu: cpu(), wall: Instant::now() }
    }

    fn fields(&self) -> String {
        let (cpu, wall) = ((cpu() - self.cpu).as_secs_f64(), self.wall.elapsed().as_secs_f64());
        format!(r#""cpu_seconds":{cpu:.2},"wall_seconds":{wall:.2}"#)
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))
}

fn vectors(bytes: &[u8], dimension: usize) -> Result<Vec<Vector>, Failure> {
    let floats: Vec<f32> = words(bytes).map(f32::from_bits).collect();
    Ok(floats.chunks(dimension).map(|row| Vector::parse(Metric::Cosine, row.to_vec())).collect::<Result<_, _>>()?)
}
