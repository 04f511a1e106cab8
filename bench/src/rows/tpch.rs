//! TPC-H: the platform's own Parquet files, through the gateway and by DuckDB in-process.

use std::time::Instant;

use anyhow::Result;

use crate::data::{self, TPCH_TABLES};
use crate::duck::Duck;
use crate::env::Env;
use crate::http::Connection;
use crate::platform::{Answer, Platform, sql_request};
use crate::report::{Line, Section, Target, number};
use crate::{answers, stats};

/// With the parameters that the specification gives for validation.
const QUERIES: [&str; 22] = [
    include_str!("../../tpch/q01.sql"),
    include_str!("../../tpch/q02.sql"),
    include_str!("../../tpch/q03.sql"),
    include_str!("../../tpch/q04.sql"),
    include_str!("../../tpch/q05.sql"),
    include_str!("../../tpch/q06.sql"),
    include_str!("../../tpch/q07.sql"),
    include_str!("../../tpch/q08.sql"),
    include_str!("../../tpch/q09.sql"),
    include_str!("../../tpch/q10.sql"),
    include_str!("../../tpch/q11.sql"),
    include_str!("../../tpch/q12.sql"),
    include_str!("../../tpch/q13.sql"),
    include_str!("../../tpch/q14.sql"),
    include_str!("../../tpch/q15.sql"),
    include_str!("../../tpch/q16.sql"),
    include_str!("../../tpch/q17.sql"),
    include_str!("../../tpch/q18.sql"),
    include_str!("../../tpch/q19.sql"),
    include_str!("../../tpch/q20.sql"),
    include_str!("../../tpch/q21.sql"),
    include_str!("../../tpch/q22.sql"),
];

pub(crate) fn section(env: &Env) -> Section {
    Section::new(
        "tpch",
        format!("TPC-H, scale factor {}", env.sizes.tpch_scale),
        "22 queries over HTTP through the gateway, JSON answers, against DuckDB in-process on the same files with the \
         same threads. Each query ran once before, and the answers were compared: decimals exactly, floats to 1e-9.",
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let inputs = data::tpch(env).await?;
    let mut duck = Duck::open(env).await?;
    let platform = Platform::start(env, &env.folder("data")?).await?;
    for table in TPCH_TABLES {
        platform.ingest(table, "parquet", &inputs.join(format!("{table}.parquet"))).await?;
        duck.view(table, &platform.files(table).await?).await?;
    }
    let mut gateway = platform.connect().await?;
    let mut ratios = Vec::new();
    let mut different = Vec::new();
    for (number, sql) in (1..).zip(QUERIES) {
        if let Some(difference) = compare(&mut gateway, &mut duck, sql).await? {
            different.push(format!("Q{number}: {difference}"));
        }
        let (ours, theirs) = measure(env, &mut gateway, &mut duck, sql).await?;
        ratios.push(ours / theirs);
        section.add(line(number, ours, theirs));
    }
    let mean = stats::geometric_mean(&ratios);
    section.add(Line::ratio("geometric mean of 22", "–".into(), "–".into(), mean, Target::AtMost(1.10)));
    let found = if different.is_empty() { "22 of 22".into() } else { different.join("; ") };
    section.add(Line::holds("answers equal", different.is_empty(), found));
    platform.server.stop().await
}

async fn compare(gateway: &mut Connection, duck: &mut Duck, sql: &str) -> Result<Option<String>> {
    let ours: Answer = serde_json::from_slice(&gateway.fetch(sql_request(sql, "application/json")?).await?)?;
    Ok(answers::difference(&ours.rows, &duck.query(sql).await?))
}

/// The medians of both, in seconds.
async fn measure(env: &Env, gateway: &mut Connection, duck: &mut Duck, sql: &str) -> Result<(f64, f64)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..env.rounds {
        let started = Instant::now();
        gateway.fetch(sql_request(sql, "application/json")?).await?;
        ours.push(started.elapsed().as_secs_f64());
        theirs.push(duck.timed(sql).await?.seconds);
    }
    Ok((stats::median(&ours), stats::median(&theirs)))
}

fn line(query: u32, ours: f64, theirs: f64) -> Line {
    let text = |seconds: f64| number(seconds * 1e3, "ms");
    Line::figure(&format!("Q{query}"), text(ours), text(theirs), Some(ours / theirs))
}
