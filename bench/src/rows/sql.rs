//! A small aggregate over HTTP, by one and by many connections.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::duck::{Duck, quoted};
use crate::env::Env;
use crate::http::fetch;
use crate::load::{self, Outcome};
use crate::peers::{self, Peer, roapi_request};
use crate::platform::{Platform, sql_request};
use crate::report::{Line, Section, Target, number};
use crate::{answers, data, stats};

/// Filter, group by, avg.
pub(crate) const AGGREGATE: &str = "SELECT role, count(*) AS workers, avg(hourly_pay) AS pay FROM workers \
                                    WHERE state = 'IL' GROUP BY role ORDER BY role";
const FEW: usize = 1;
const MANY: usize = 16;

/// One side's rounds.
#[derive(Default)]
struct Side(Vec<Outcome>);

impl Side {
    fn median(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        stats::median(&self.0.iter().map(of).collect::<Vec<_>>())
    }

    fn rate(&self) -> f64 {
        self.median(Outcome::rate)
    }

    fn rate_text(&self) -> String {
        number(self.rate(), "/s")
    }
}

struct Sides {
    ours: Side,
    roapi: Side,
    duck: Side,
}

pub(crate) fn section(env: &Env) -> Section {
    Section::new(
        "sql",
        format!("Small aggregate over {} rows", env.sizes.worker_rows),
        format!(
            "`{AGGREGATE}`: requests/s in a closed loop, JSON answers, through the gateway. ROAPI has the same Parquet \
             file in memory, its default; DuckDB in-process reads the file, with a Python thread and a cursor for each \
             connection. Nobody caches results."
        ),
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let csv = data::workers_csv(env).await?;
    let platform = Platform::start(env, &env.folder("data")?).await?;
    platform.ingest("workers", "csv", &csv).await?;
    let files = platform.files("workers").await?;
    ensure!(files.len() == 1, "ROAPI takes one file, and workers has {}", files.len());
    let mut duck = Duck::open(env).await?;
    duck.view("workers", &files).await?;
    let (roapi, line) = start_roapi(env, &mut duck, &files[0]).await?;
    section.add(line);
    section.add(same_answers(&platform, &roapi, &mut duck).await?);
    for connections in [FEW, MANY] {
        let sides = measure(env, &platform, &roapi, &mut duck, connections).await?;
        lines(connections, &sides).into_iter().for_each(|line| section.add(line));
    }
    roapi.server.stop().await?;
    platform.server.stop().await
}

/// ROAPI over the platform's file; over a copy that DuckDB writes, where ROAPI cannot read that one.
async fn start_roapi(env: &Env, duck: &mut Duck, file: &str) -> Result<(Peer, Line)> {
    const WHAT: &str = "ROAPI reads the platform's file";
    if let Ok(roapi) = peers::roapi(env, &[("workers", file)]).await {
        return Ok((roapi, Line::holds(WHAT, true, "yes".to_owned())));
    }
    // Its Parquet reader is of an age that others still use too: this is a fault of our files.
    let copy = env.work().join("workers.parquet").to_string_lossy().into_owned();
    duck.execute(&format!("COPY workers TO {} (FORMAT parquet, COMPRESSION zstd)", quoted(&copy))).await?;
    let roapi = peers::roapi(env, &[("workers", &copy)]).await?;
    let found = "no, so it got a copy by DuckDB".to_owned();
    Ok((roapi, Line::holds(WHAT, false, found)))
}

/// All three answer the same.
async fn same_answers(platform: &Platform, roapi: &Peer, duck: &mut Duck) -> Result<Line> {
    let ours = platform.query(AGGREGATE).await?.rows;
    let objects: Vec<Value> = serde_json::from_slice(&fetch(roapi.address, roapi_request(AGGREGATE)?).await?)?;
    let columns = ["role", "workers", "pay"];
    let theirs: Vec<Vec<Value>> =
        objects.iter().map(|object| columns.map(|column| object[column].clone()).to_vec()).collect();
    let different = answers::difference(&ours, &theirs).or(answers::difference(&ours, &duck.query(AGGREGATE).await?));
    let found = different.clone().unwrap_or_else(|| format!("{} groups", ours.len()));
    Ok(Line::holds("all three answers equal", different.is_none() && !ours.is_empty(), found))
}

async fn measure(env: &Env, platform: &Platform, roapi: &Peer, duck: &mut Duck, connections: usize) -> Result<Sides> {
    let mut sides = Sides { ours: Side::default(), roapi: Side::default(), duck: Side::default() };
    let length = env.sizes.loops;
    for _ in 0..env.rounds {
        let request = |_| sql_request(AGGREGATE, "application/json");
        sides.ours.0.push(load::run(platform.gateway, connections, length, &request).await?);
        sides.roapi.0.push(load::run(roapi.address, connections, length, &|_| roapi_request(AGGREGATE)).await?);
        sides.duck.0.push(duck.callers(AGGREGATE, connections, length).await?);
    }
    Ok(sides)
}

fn lines(connections: usize, Sides { ours, roapi, duck }: &Sides) -> Vec<Line> {
    let label = |what: &str| format!("{connections} connection{}: {what}", if connections == 1 { "" } else { "s" });
    let (wanted, p99) = if connections == FEW { (2.0, None) } else { (1.3, Some(Target::AtMost(1.0))) };
    let milliseconds = |side: &Side, share: f64| side.median(|outcome| outcome.percentile(share)) * 1e3;
    let latency = |share: f64| {
        let (mine, other) = (milliseconds(ours, share), milliseconds(roapi, share));
        (number(mine, "ms"), number(other, "ms"), mine / other)
    };
    let vs_roapi = ours.rate() / roapi.rate();
    let vs_duck = ours.rate() / duck.rate();
    let (our_p50, their_p50, p50_ratio) = latency(0.5);
    let (our_p99, their_p99, p99_ratio) = latency(0.99);
    let p99_line = match p99 {
        Some(target) => Line::ratio(&label("p99, ROAPI"), our_p99, their_p99, p99_ratio, target),
        None => Line::figure(&label("p99, ROAPI"), our_p99, their_p99, Some(p99_ratio)),
    };
    vec![
        Line::ratio(&label("ROAPI"), ours.rate_text(), roapi.rate_text(), vs_roapi, Target::AtLeast(wanted)),
        Line::ratio(&label("DuckDB in-process"), ours.rate_text(), duck.rate_text(), vs_duck, Target::AtLeast(0.9)),
        Line::figure(&label("p50, ROAPI"), our_p50, their_p50, Some(p50_ratio)),
        p99_line,
    ]
}
