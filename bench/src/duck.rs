//! DuckDB in-process: a Python process of its own that holds nothing else (`duckdb_peer.py`).

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::env::Env;
use crate::load::{Length, Outcome};
use crate::program::Program;

const PROGRAM: &str = include_str!("../python/duckdb_peer.py");

/// The peer; killed when dropped.
pub(crate) struct Duck(Program);

/// How long a call took, by the peer's own clock, and how many rows it yielded.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Timed {
    pub(crate) seconds: f64,
    #[serde(default)]
    pub(crate) rows: u64,
}

#[derive(Deserialize)]
struct Rows {
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Latencies {
    seconds: f64,
    latencies: Vec<f64>,
}

impl Duck {
    /// A new in-memory database with as many threads as the platform gets.
    pub(crate) async fn open(env: &Env) -> Result<Self> {
        let mut duck = Duck(Program::python("DuckDB", PROGRAM, &env.peers)?);
        let _: Value = duck.0.call(json!({"do": "open", "threads": env.threads})).await?;
        Ok(duck)
    }

    /// Statements whose results nobody reads.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<f64> {
        let timed: Timed = self.0.call(json!({"do": "execute", "sql": sql})).await?;
        Ok(timed.seconds)
    }

    /// A view over Parquet files.
    pub(crate) async fn view(&mut self, name: &str, files: &[String]) -> Result<()> {
        let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
        self.execute(&format!("CREATE OR REPLACE VIEW {name} AS FROM read_parquet([{}])", files.join(", "))).await?;
        Ok(())
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Value>>> {
        let answer: Rows = self.0.call(json!({"do": "query", "sql": sql})).await?;
        Ok(answer.rows)
    }

    /// Runs a query and fetches all its rows.
    pub(crate) async fn timed(&mut self, sql: &str) -> Result<Timed> {
        self.0.call(json!({"do": "timed", "sql": sql})).await
    }

    /// Drains a query's result as Arrow record batches.
    pub(crate) async fn arrow(&mut self, sql: &str) -> Result<Timed> {
        self.0.call(json!({"do": "arrow", "sql": sql})).await
    }

    /// The closed loop of [`crate::load`], with a thread and a cursor for each connection.
    pub(crate) async fn callers(&mut self, sql: &str, callers: usize, length: Length) -> Result<Outcome> {
        let Length::For { warm_up, measured } = length else { bail!("callers run for a time") };
        let command = json!({
            "do": "callers", "sql": sql, "callers": callers,
            "warm_up": warm_up.as_secs_f64(), "seconds": measured.as_secs_f64(),
        });
        let answer: Latencies = self.0.call(command).await?;
        Ok(Outcome::new(answer.latencies, answer.seconds))
    }
}

/// A SQL string literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
