//! A large result: how fast its rows come, and what it costs in memory.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use http::Request;

use crate::duck::Duck;
use crate::env::Env;
use crate::http::{Body, Connection};
use crate::peers::{self, roapi_request};
use crate::platform::{Platform, sql_request};
use crate::report::{Line, Section, Target, number};
use crate::{data, stats};

const EVERYTHING: &str = "SELECT id, kind, amount, name, day FROM wide";
const ARROW: &str = "application/vnd.apache.arrow.stream";
const JSON: &str = "application/json";
const MIB: f64 = 1_048_576.0;
const GROWTH_MIB_MAX: f64 = 300.0;

pub(crate) fn section(env: &Env) -> Section {
    Section::new(
        "result",
        format!("Result of {} rows × 5 columns", env.sizes.wide_rows),
        "BIGINT, INTEGER, DOUBLE, VARCHAR, DATE through the gateway, read to the end and thrown away; the peer of \
         Arrow is DuckDB in-process whose record batches are drained by PyArrow, the peer of JSON is ROAPI with the \
         same rows in memory. Every answer was decoded or counted once before. Memory is the growth of the whole \
         platform's peak (VmHWM) over one answer, in a process that has just started.",
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let mut duck = Duck::open(env).await?;
    let input = data::wide_parquet(env, &mut duck).await?;
    let folder = env.folder("data")?;
    let platform = Platform::start(env, &folder).await?;
    platform.ingest("wide", "parquet", &input).await?;
    duck.view("wide", &platform.files("wide").await?).await?;
    platform.server.stop().await?;

    for (name, accept) in [("Arrow", ARROW), ("JSON", JSON)] {
        let platform = Platform::start(env, &folder).await?;
        section.record(&format!("{name}: growth of memory"), growth(&platform, name, accept).await);
        platform.server.stop().await?;
    }

    let platform = Platform::start(env, &folder).await?;
    let wanted = env.sizes.wide_rows;
    section.record("Arrow: rows/s", arrow(env, &platform, &mut duck, wanted).await);
    let input = input.to_string_lossy();
    let roapi = peers::roapi(env, &[("wide", &input)]).await?;
    let mut theirs = Connection::open(roapi.address).await?;
    section.record("JSON: rows/s", json(env, &platform, &mut theirs, wanted).await);
    roapi.server.stop().await?;
    platform.server.stop().await
}

async fn growth(platform: &Platform, name: &str, accept: &str) -> Result<Vec<Line>> {
    platform.query("SELECT count(*) FROM wide").await?;
    platform.server.reset_peak()?;
    let before = platform.server.peak_bytes()?;
    let bytes = platform.connect().await?.drain(sql_request(EVERYTHING, accept)?).await?;
    let grown = platform.server.peak_bytes()?.saturating_sub(before) as f64 / MIB;
    let what = format!("{name}: growth of memory over {}", number(bytes as f64 / MIB, "MiB"));
    Ok(vec![Line::absolute(&what, grown, "MiB", Target::AtMost(GROWTH_MIB_MAX))])
}

async fn arrow(env: &Env, platform: &Platform, duck: &mut Duck, wanted: u64) -> Result<Vec<Line>> {
    let mut gateway = platform.connect().await?;
    let bytes = gateway.fetch(sql_request(EVERYTHING, ARROW)?).await?;
    let rows = arrow_rows(&bytes)?;
    ensure!(rows == wanted, "the Arrow stream has {rows} rows");
    ensure!(duck.arrow(EVERYTHING).await?.rows == wanted, "DuckDB sees other rows");
    drop(bytes);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..env.rounds {
        ours.push(seconds(&mut gateway, sql_request(EVERYTHING, ARROW)?).await?);
        theirs.push(duck.arrow(EVERYTHING).await?.seconds);
    }
    Ok(vec![line("Arrow: rows/s, DuckDB in-process", wanted, &ours, &theirs, 0.6)])
}

async fn json(env: &Env, platform: &Platform, theirs: &mut Connection, wanted: u64) -> Result<Vec<Line>> {
    let mut gateway = platform.connect().await?;
    let tail = format!("\"row_count\":{wanted}");
    let body = gateway.fetch(sql_request(EVERYTHING, JSON)?).await?;
    let end = String::from_utf8_lossy(&body[body.len().saturating_sub(100)..]).into_owned();
    ensure!(end.contains(&tail), "our JSON ends with {end}");
    let body = theirs.fetch(roapi_request(EVERYTHING)?).await?;
    // Each row is an object, and no value holds a brace.
    let rows = body.iter().filter(|byte| **byte == b'{').count() as u64;
    ensure!(rows == wanted, "ROAPI's JSON has {rows} rows");
    drop(body);
    let (mut our_seconds, mut their_seconds) = (Vec::new(), Vec::new());
    for _ in 0..env.rounds {
        our_seconds.push(seconds(&mut gateway, sql_request(EVERYTHING, JSON)?).await?);
        their_seconds.push(seconds(theirs, roapi_request(EVERYTHING)?).await?);
    }
    Ok(vec![line("JSON: rows/s, ROAPI", wanted, &our_seconds, &their_seconds, 1.0)])
}

async fn seconds(connection: &mut Connection, request: Request<Body>) -> Result<f64> {
    let started = Instant::now();
    connection.drain(request).await?;
    Ok(started.elapsed().as_secs_f64())
}

fn line(what: &str, rows: u64, ours: &[f64], theirs: &[f64], wanted: f64) -> Line {
    let rate = |seconds: &[f64]| rows as f64 / stats::median(seconds);
    let text = |seconds: &[f64]| number(rate(seconds) / 1e6, "M/s");
    Line::ratio(what, text(ours), text(theirs), rate(ours) / rate(theirs), Target::AtLeast(wanted))
}

fn arrow_rows(stream: &Bytes) -> Result<u64> {
    let mut rows = 0;
    for batch in StreamReader::try_new(stream.as_ref(), None).context("not an Arrow stream")? {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}
