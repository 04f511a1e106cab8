//! `lakehouse demo`: from sample rows to SQL with a search in it, with the commands that anybody would use.
//!
//! Each step is a command line, shown as it can be typed and parsed as if it had been: what is shown is what
//! is run. A second run finds the dataset and the index of the first one and uses them.

use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use crate::client::Client;
use crate::datasets::{self, DatasetsArguments};
use crate::failure::Failure;
use crate::index::{self, IndexArguments};
use crate::output;
use crate::sample;
use crate::search::{self, SearchArguments};
use crate::sql::{self, SqlArguments};

const DATASET: &str = "demo_workers";
const INDEX: &str = "demo_workers_idx";
const TEXT: &str = "{role} in {city}, {state}: {summary}";
const COLUMNS: &str = "name,role,city,state";
/// What for, the text, and a filter of the metadata.
const SEARCHES: [(&str, &str, Option<&str>); 3] = [
    ("A search in the words of a log", "forklift driver IL", None),
    ("One that shares no word with what it finds", "somebody who can mend a leaking tap", None),
    ("One with a filter", "can read a blueprint and join metal", Some(r#"{"state": "TX"}"#)),
];
const JOIN: &str = "\
SELECT w.name, w.role, w.city, w.hourly_pay, round(s.score, 3) AS score
FROM vector_search('demo_workers_idx', 'welder near Chicago', k := 100, filter := '{\"state\": \"IL\"}') s
JOIN demo_workers w ON w.id::VARCHAR = s.id
WHERE w.hourly_pay < 30
ORDER BY s.score DESC LIMIT 5";

#[derive(Args)]
pub(crate) struct DemoArguments {
    /// Sample rows of a first run.
    #[arg(long, default_value_t = 2_000)]
    rows: u64,
}

/// What a step may be.
#[derive(Parser)]
struct Demo {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    Datasets(DatasetsArguments),
    Index(IndexArguments),
    Search(SearchArguments),
    Sql(SqlArguments),
}

pub(crate) async fn run(client: &Client, arguments: DemoArguments) -> Result<(), Failure> {
    dataset(client, arguments.rows).await?;
    let create = ["index", "create", INDEX, "--dataset", DATASET, "--text", TEXT];
    if client.is_there(&["v1", "vectors", "index", INDEX]).await? {
        step(client, "The index of an earlier run, which follows the dataset", &["index", "wait", INDEX]).await?;
    } else {
        step(client, "An index of its rows, by what they mean", &create).await?;
    }
    for (about, text, filter) in SEARCHES {
        let mut line = vec!["search", INDEX, text, "--k", "3", "--columns", COLUMNS];
        line.extend(filter.into_iter().flat_map(|filter| ["--filter", filter]));
        step(client, about, &line).await?;
    }
    step(client, "A search within SQL", &["sql", JOIN]).await
}

async fn dataset(client: &Client, rows: u64) -> Result<(), Failure> {
    let began = Instant::now();
    if client.is_there(&["v1", "catalog", "datasets", DATASET]).await? {
        return step(client, "The dataset of an earlier run", &["datasets", DATASET]).await;
    }
    head("A dataset", &format!("sample workers --rows {rows} | lakehouse ingest - --name {DATASET}"))?;
    sample::load(client, DATASET, rows).await?;
    output::print(&format!("{DATASET}: {rows} rows\n"))?;
    took(began)
}

/// Shows a command line, runs it and says how long that took.
async fn step(client: &Client, about: &str, line: &[&str]) -> Result<(), Failure> {
    head(about, &line.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))?;
    let began = Instant::now();
    match parsed(line)? {
        Step::Datasets(arguments) => datasets::run(client, arguments).await?,
        Step::Index(arguments) => index::run(client, arguments).await?,
        Step::Search(arguments) => search::run(client, arguments).await?,
        Step::Sql(arguments) => sql::run(client, arguments).await?,
    }
    took(began)
}

/// A command line, for the eyes of somebody at a terminal wherever it goes.
fn parsed(line: &[&str]) -> Result<Step, Failure> {
    let for_a_person = ["--format", "table"];
    let more = if matches!(line, ["search" | "sql", ..]) { &for_a_person[..] } else { &[] };
    let words = line.iter().chain(more);
    let parsed = Demo::try_parse_from(std::iter::once(&"lakehouse").chain(words));
    parsed.map(|demo| demo.step).map_err(|error| Failure::Usage(error.to_string()))
}

fn head(about: &str, line: &str) -> Result<(), Failure> {
    output::print(&format!("{about}\n$ lakehouse {line}\n"))
}

fn took(began: Instant) -> Result<(), Failure> {
    output::print(&format!("({:.3} s)\n\n", began.elapsed().as_secs_f64()))
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("--k"), "--k");
        assert_eq!(quoted("it's {a}"), "'it'\\''s {a}'");
        assert_eq!(quoted(""), "''");
    }
}
