//! Searches that only some items may answer: scattered over all of them, and all around one point.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use serde_json::json;

use super::RECALL;
use super::kept::{CLASSES, Nearness, scattered};
use crate::env::Env;
use crate::load::{self, Length};
use crate::platform::Platform;
use crate::report::{Line, Target, number};
use crate::stats;
use crate::vectors::api::{Index, searches};
use crate::vectors::{Set, truth};

const EF: usize = 128;
const QUERIES: usize = 200;
/// Thousandths of the items that match.
const SHARES: [usize; 4] = [500, 100, 10, 1];
const SLOWER_MAX: f64 = 3.0;

/// Searches with one filter, or with none.
struct Cell {
    what: String,
    searches: Vec<Bytes>,
    truth: Vec<Vec<u32>>,
    /// Seconds, a median a round.
    latencies: Vec<f64>,
}

pub(super) async fn run(
    env: &Env,
    platform: &Platform,
    index: &Index,
    set: &Arc<Set>,
    near: &Nearness,
) -> Result<Vec<Line>> {
    let mut cells = vec![Cell {
        what: "no filter".into(),
        searches: first(searches(set, EF, None, false)?),
        truth: set.truth[..QUERIES].to_vec(),
        latencies: Vec::new(),
    }];
    for share in SHARES {
        cells.push(cell(set, "scattered", share, |row| scattered(row) < share).await?);
        cells.push(cell(set, "near", share, |row| near.class(row) < share).await?);
    }
    let (mut recalls, mut short) = (Vec::new(), 0);
    for cell in &cells {
        let found = index.found(&cell.searches).await?;
        short += found.iter().zip(&cell.truth).filter(|(found, wanted)| found.len() < wanted.len()).count();
        recalls.push(truth::recall(&found, &cell.truth));
    }
    for _ in 0..env.rounds {
        for cell in &mut cells {
            let search = |number: u64| index.search(cell.searches[number as usize % QUERIES].clone());
            let outcome = load::run(platform.gateway, 1, Length::Requests(QUERIES as u64), &search).await?;
            cell.latencies.push(outcome.percentile(0.5));
        }
    }
    let mut lines = lines(&cells, &recalls);
    let what = "filters: never fewer results than k where k items match";
    lines.push(Line::holds(what, short == 0, format!("{short} of {} answers were short", cells.len() * QUERIES)));
    Ok(lines)
}

async fn cell(set: &Arc<Set>, field: &str, share: usize, matches: impl Fn(usize) -> bool) -> Result<Cell> {
    let rows: Vec<u32> = (0..set.len() as u32).filter(|row| matches(*row as usize)).collect();
    let same = set.clone();
    let truth = tokio::task::spawn_blocking(move || truth::nearest(&same, QUERIES, &rows)).await?;
    let filter = json!({ field: { "$lt": share } });
    Ok(Cell {
        what: format!("filter on {} %, {field}", share as f64 / (CLASSES / 100) as f64),
        searches: first(searches(set, EF, Some(&filter), false)?),
        truth,
        latencies: Vec::new(),
    })
}

fn first(mut searches: Vec<Bytes>) -> Vec<Bytes> {
    searches.truncate(QUERIES);
    searches
}

fn lines(cells: &[Cell], recalls: &[f64]) -> Vec<Line> {
    let milliseconds = |cell: &Cell| stats::median(&cell.latencies) * 1e3;
    let Some((unfiltered, filtered)) = cells.split_first() else { return Vec::new() };
    let without = milliseconds(unfiltered);
    let mut lines = vec![Line::figure(
        &format!("{}, ef {EF}: recall@10", unfiltered.what),
        number(recalls[0], ""),
        "–".into(),
        None,
    )];
    for (cell, recall) in filtered.iter().zip(&recalls[1..]) {
        let with = milliseconds(cell);
        lines.push(Line::absolute(&format!("{}: recall@10", cell.what), *recall, "", Target::AtLeast(RECALL)));
        let what = format!("{}: p50, no filter", cell.what);
        let (ours, theirs) = (number(with, "ms"), number(without, "ms"));
        lines.push(Line::ratio(&what, ours, theirs, with / without, Target::AtMost(SLOWER_MAX)));
    }
    lines
}
