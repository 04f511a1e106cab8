//! From the start of the process until everything is ready.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use http::Method;

use crate::env::Env;
use crate::http::{full, request};
use crate::load::{self, Length};
use crate::platform::Platform;
use crate::report::{Line, Section, Target};
use crate::stats;

/// As many as ingestd takes at once by default.
const WRITERS: usize = 4;

pub(crate) fn section(env: &Env) -> Section {
    Section::new(
        "start",
        "Start",
        format!(
            "From the start of the process (`lakehouse up`) until the gateway and every service behind it have answered \
             200 to `/health/readiness` and the gateway has answered `SELECT 1`: on a new folder, and on one with {} \
             datasets, where SQL over the last one was answered right afterwards.",
            env.sizes.datasets
        ),
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let mut empty = Vec::new();
    for _ in 0..env.rounds {
        let started = Instant::now();
        let platform = Platform::start(env, &env.folder("data")?).await?;
        empty.push(started.elapsed().as_secs_f64());
        platform.server.stop().await?;
    }
    section.add(Line::absolute("empty", stats::median(&empty), "s", Target::AtMost(1.0)));

    let datasets = env.sizes.datasets;
    let folder = env.folder("data")?;
    fill(env, &folder, datasets).await?;
    let mut full = Vec::new();
    for _ in 0..env.rounds {
        let started = Instant::now();
        let platform = Platform::start(env, &folder).await?;
        full.push(started.elapsed().as_secs_f64());
        let answer = platform.query(&format!("SELECT n FROM d{}", datasets - 1)).await?;
        ensure!(answer.rows.len() == 1, "the last dataset has {} rows", answer.rows.len());
        platform.server.stop().await?;
    }
    section.add(Line::absolute(&format!("{datasets} datasets"), stats::median(&full), "s", Target::AtMost(3.0)));
    Ok(())
}

async fn fill(env: &Env, folder: &Path, datasets: u64) -> Result<()> {
    let platform = Platform::start(env, folder).await?;
    let ingest = |number: u64| {
        let path = format!("/v1/ingest/d{number}?format=csv&mode=create");
        request(Method::POST, &path, &[("content-type", "text/csv")], full(format!("n,name\n{number},one\n")))
    };
    load::run(platform.gateway, WRITERS, Length::Requests(datasets), &ingest).await?;
    platform.server.stop().await
}
