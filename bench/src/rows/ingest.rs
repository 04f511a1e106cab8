//! A CSV file in: from the first byte sent to the registered dataset.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::duck::{Duck, quoted};
use crate::env::Env;
use crate::platform::Platform;
use crate::report::{Line, Section, Target, number};
use crate::{data, stats};

const MIB: f64 = 1_048_576.0;
const PEAK_MIB_MAX: f64 = 1_024.0;

pub(crate) fn section(env: &Env) -> Section {
    Section::new(
        "ingest",
        format!("Ingest of a CSV file of {} rows", env.sizes.worker_rows),
        "Through the gateway, until the dataset is registered and all of it is on the disk (fsync), against DuckDB \
         in-process: `COPY (FROM read_csv(…)) TO … (FORMAT parquet, COMPRESSION zstd)`, which leaves the disk to the \
         kernel. Memory is the peak (VmHWM) of the whole platform.",
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let csv = data::workers_csv(env).await?;
    let rows = env.sizes.worker_rows;
    let mut duck = Duck::open(env).await?;
    let target = env.folder("duckdb")?.join("workers.parquet");
    let copy = format!(
        "COPY (FROM read_csv({})) TO {} (FORMAT parquet, COMPRESSION zstd)",
        quoted(&csv.to_string_lossy()),
        quoted(&target.to_string_lossy())
    );
    let platform = Platform::start(env, &env.folder("data")?).await?;
    // Once each before, so that both read the file from memory.
    platform.ingest("workers", "csv", &csv).await?;
    duck.execute(&copy).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..env.rounds {
        // What earlier writes left in memory is nobody's burden.
        rustix::fs::sync();
        let started = Instant::now();
        let ingested = platform.ingest("workers", "csv", &csv).await?;
        ours.push(started.elapsed().as_secs_f64());
        ensure!(ingested.rows == rows, "{} rows were ingested, not {rows}", ingested.rows);
        rustix::fs::sync();
        theirs.push(duck.execute(&copy).await?);
    }
    platform.server.stop().await?;
    let rate = |seconds: &[f64]| rows as f64 / stats::median(seconds);
    let text = |seconds: &[f64]| number(rate(seconds) / 1e3, "k rows/s");
    let ratio = rate(&ours) / rate(&theirs);
    section.add(Line::ratio("DuckDB's COPY", text(&ours), text(&theirs), ratio, Target::AtLeast(0.7)));
    section.record("memory", peak(env).await);
    Ok(())
}

async fn peak(env: &Env) -> Result<Vec<Line>> {
    let csv = data::big_csv(env).await?;
    let bytes = std::fs::metadata(&csv)?.len() as f64;
    let platform = Platform::start(env, &env.folder("data")?).await?;
    platform.server.reset_peak()?;
    let started = Instant::now();
    platform.ingest("big", "csv", &csv).await?;
    let seconds = started.elapsed().as_secs_f64();
    let peak = platform.server.peak_bytes()? as f64 / MIB;
    platform.server.stop().await?;
    std::fs::remove_file(csv)?;
    let what = format!("peak of memory over {} GB", number(bytes / 1e9, ""));
    Ok(vec![
        Line::absolute(&what, peak, "MiB", Target::AtMost(PEAK_MIB_MAX)),
        Line::figure("speed over that file", number(bytes / 1e6 / seconds, "MB/s"), "–".into(), None),
    ])
}
