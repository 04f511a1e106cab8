//! A dataset becomes searchable by an index that follows it, beside the embedding of its texts alone.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::local;
use crate::data;
use crate::embeddings::api;
use crate::env::Env;
use crate::http::{Connection, fetch, full, get, request};
use crate::load::{self, Length};
use crate::platform::Platform;
use crate::report::{Line, Target, number};
use crate::stats;

/// The index that stays, and the dataset that it follows.
pub(super) const INDEX: &str = "crew_idx";
const DATASET: &str = "crew";
/// All workers, which are joined with what a search finds.
pub(super) const ALL: &str = "workers";
const TEXT: &str = "{role} in {city}: {summary}";
/// Texts of one request, and requests at once: what embedd is fastest with.
const BATCH: usize = 256;
const CLIENTS: usize = 2;
const SHARE_MIN: f64 = 0.9;
const POLL_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(900);

/// An index, so far as it matters here.
#[derive(Deserialize)]
struct Info {
    count: usize,
    following: Following,
}

#[derive(Deserialize)]
struct Following {
    status: String,
    /// None before it has any.
    version: Option<u64>,
    #[serde(default)]
    reason: String,
}

/// The platform's data stay in `data` for the next row.
pub(super) async fn run(env: &Env, data: &Path) -> Result<Vec<Line>> {
    let rows = env.sizes.followed_rows;
    // What was embedded once has to be embedded again.
    let settings = [local()?, "embedd.cache_size=0".to_owned()];
    let platform = Platform::start_with(env, data, &settings).await?;
    platform.ingest(ALL, "csv", &data::workers_csv(env).await?).await?;
    let few = data::first_workers_csv(env, rows).await?;
    let ingested = platform.ingest(DATASET, "csv", &few).await?;
    ensure!(ingested.rows == rows as u64, "{} rows were ingested", ingested.rows);
    let texts = platform.query(&format!("SELECT role || ' in ' || city || ': ' || summary FROM {DATASET}")).await?;
    let texts: Vec<String> = texts.rows.iter().filter_map(|row| Some(row.first()?.as_str()?.to_owned())).collect();
    ensure!(texts.len() == rows, "{} texts of {rows} rows", texts.len());
    let bodies: Vec<Bytes> = texts.chunks(BATCH).map(api::body).collect();
    let (mut alone, mut followed) = (Vec::new(), Vec::new());
    for round in 0..env.rounds {
        let embed = |number: u64| api::embed(bodies[number as usize].clone());
        let outcome = load::run(platform.gateway, CLIENTS, Length::Requests(bodies.len() as u64), &embed).await?;
        alone.push(rows as f64 / outcome.seconds);
        if round > 0 {
            fetch(platform.gateway, request(Method::DELETE, &path(), &[], full(""))?).await?;
        }
        followed.push(rows as f64 / follow(&platform, rows).await?);
    }
    platform.server.stop().await?;
    let (alone, followed) = (stats::median(&alone), stats::median(&followed));
    let what = format!("{rows} rows until the index that follows them is current: embedding of their texts alone");
    let (ours, theirs) = (number(followed, "/s"), number(alone, "/s"));
    Ok(vec![Line::ratio(&what, ours, theirs, followed / alone, Target::AtLeast(SHARE_MIN))])
}

fn path() -> String {
    format!("/v1/vectors/index/{INDEX}")
}

/// Seconds from the wish for an index until it holds the whole dataset.
async fn follow(platform: &Platform, rows: usize) -> Result<f64> {
    let source =
        json!({"dataset": DATASET, "id_column": "id", "text": TEXT, "metadata_columns": ["role", "city", "state"]});
    let wish = json!({"name": INDEX, "source": source}).to_string();
    let headers = [("content-type", "application/json")];
    let (mut connection, started) = (Connection::open(platform.gateway).await?, Instant::now());
    connection.fetch(request(Method::POST, "/v1/vectors/index", &headers, full(wish))?).await?;
    while started.elapsed() < PATIENCE {
        let info: Info = serde_json::from_slice(&connection.fetch(get(&path())?).await?)?;
        match info.following.status.as_str() {
            "current" if info.following.version.is_some() => {
                let seconds = started.elapsed().as_secs_f64();
                ensure!(info.count == rows, "the index has {} items", info.count);
                return Ok(seconds);
            }
            "failed" => bail!("the index cannot follow: {}", info.following.reason),
            _ => tokio::time::sleep(POLL_EVERY).await,
        }
    }
    bail!("the index is not current after {PATIENCE:?}")
}
