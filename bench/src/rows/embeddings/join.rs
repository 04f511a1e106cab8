//! A search inside SQL, joined with a dataset, beside the search and the SQL each alone.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use http::{Method, Request};
use serde::Deserialize;
use serde_json::json;

use super::following::{ALL, INDEX};
use super::local;
use crate::duck::quoted;
use crate::env::Env;
use crate::http::{Body, Connection, full, request};
use crate::platform::{Answer, Platform, sql_request};
use crate::report::{Line, Target, number};
use crate::stats;

const K: usize = 10;
const TIMES_MAX: f64 = 1.3;
/// Queries of a round.
const QUERIES: [&str; 10] = [
    "welder near Chicago",
    "forklift driver IL",
    "night shift nurse, intensive care",
    "electrician who speaks Spanish",
    "machinist with CNC experience in Ohio",
    "warehouse associate available on Monday",
    "truck driver with a hazmat endorsement",
    "line cook for a hotel in Miami",
    "carpenter, framing and drywall",
    "quality inspector for an assembly line",
];

#[derive(Deserialize)]
struct Found {
    results: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    id: String,
    score: f64,
}

/// Milliseconds of every query in every round.
#[derive(Default)]
struct Latencies {
    search: Vec<f64>,
    plain: Vec<f64>,
    joined: Vec<f64>,
}

/// Over what the row before left in `data`.
pub(super) async fn run(env: &Env, data: &Path) -> Result<Vec<Line>> {
    let platform = Platform::start_with(env, data, &[local()?]).await?;
    let mut connection = platform.connect().await?;
    let mut took = Latencies::default();
    // The first round warms up: plans, pages, and the queries' vectors.
    for round in 0..=env.rounds.max(3) {
        for query in QUERIES {
            let measured = one(&mut connection, query).await.with_context(|| format!("{query:?}"))?;
            if round > 0 {
                took.search.push(measured[0]);
                took.plain.push(measured[1]);
                took.joined.push(measured[2]);
            }
        }
    }
    platform.server.stop().await?;
    let [search, plain, joined] = [&took.search, &took.plain, &took.joined].map(|took| stats::median(took));
    let (what, apart) =
        (format!("SQL that joins {} rows with vector_search, k = {K}", env.sizes.worker_rows), search + plain);
    let parts = format!("the same: the search alone ({}) and the SQL alone", number(search, "ms"));
    Ok(vec![
        Line::ratio(
            &format!("{what}: search and SQL each alone"),
            number(joined, "ms"),
            number(apart, "ms"),
            joined / apart,
            Target::AtMost(TIMES_MAX),
        ),
        Line::figure(&parts, number(joined, "ms"), number(plain, "ms"), None),
    ])
}

/// Milliseconds of the search, of SQL over what it found, and of both in one statement, which has to answer the same.
async fn one(connection: &mut Connection, query: &str) -> Result<[f64; 3]> {
    let search = json!({"text": query, "k": K, "with_metadata": true}).to_string();
    let headers = [("content-type", "application/json")];
    let search = request(Method::POST, &format!("/v1/vectors/index/{INDEX}/search"), &headers, full(search))?;
    let (found, search) = timed::<Found>(connection, search).await?;
    ensure!(found.results.len() == K, "{} results", found.results.len());
    let values: Vec<String> =
        found.results.iter().map(|hit| format!("({}, {:?}::FLOAT)", quoted(&hit.id), hit.score)).collect();
    let (apart, plain) = sql(connection, &format!("(VALUES {}) AS s (id, score)", values.join(", "))).await?;
    let call = format!("vector_search({}, {}, k := {K}) AS s", quoted(INDEX), quoted(query));
    let (together, joined) = sql(connection, &call).await?;
    let ids = |answer: &Answer| answer.rows.iter().map(|row| row.first().cloned()).collect::<Vec<_>>();
    ensure!(ids(&apart) == ids(&together) && together.rows.len() == K, "{together:?}, not {apart:?}");
    Ok([search, plain, joined])
}

async fn sql(connection: &mut Connection, found: &str) -> Result<(Answer, f64)> {
    let sql = format!(
        "SELECT w.id, w.name, w.role, w.city, w.hourly_pay, s.score FROM {found} \
         JOIN {ALL} w ON w.id = CAST(s.id AS BIGINT) ORDER BY s.score DESC, w.id"
    );
    timed(connection, sql_request(&sql, "application/json")?).await
}

async fn timed<T: for<'de> Deserialize<'de>>(connection: &mut Connection, request: Request<Body>) -> Result<(T, f64)> {
    let started = Instant::now();
    let answer = connection.fetch(request).await?;
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    Ok((serde_json::from_slice(&answer)?, milliseconds))
}
