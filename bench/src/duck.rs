//! DuckDB in-process: a Python process of its own that holds nothing else (`duckdb_peer.py`).

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::env::Env;
use crate::load::{Length, Outcome};

const PROGRAM: &str = include_str!("../python/duckdb_peer.py");

/// The peer; killed when dropped.
pub(crate) struct Duck {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

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
        let mut child = Command::new("python3")
            .args(["-c", PROGRAM])
            .env("PYTHONPATH", &env.peers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start python3")?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut duck = Duck { _child: child, stdin, stdout };
        let _: Value = duck.call(json!({"do": "open", "threads": env.threads})).await?;
        Ok(duck)
    }

    /// Statements whose results nobody reads.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<f64> {
        let timed: Timed = self.call(json!({"do": "execute", "sql": sql})).await?;
        Ok(timed.seconds)
    }

    /// A view over Parquet files.
    pub(crate) async fn view(&mut self, name: &str, files: &[String]) -> Result<()> {
        let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
        self.execute(&format!("CREATE OR REPLACE VIEW {name} AS FROM read_parquet([{}])", files.join(", "))).await?;
        Ok(())
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Value>>> {
        let answer: Rows = self.call(json!({"do": "query", "sql": sql})).await?;
        Ok(answer.rows)
    }

    /// Runs a query and fetches all its rows.
    pub(crate) async fn timed(&mut self, sql: &str) -> Result<Timed> {
        self.call(json!({"do": "timed", "sql": sql})).await
    }

    /// Drains a query's result as Arrow record batches.
    pub(crate) async fn arrow(&mut self, sql: &str) -> Result<Timed> {
        self.call(json!({"do": "arrow", "sql": sql})).await
    }

    /// The closed loop of [`crate::load`], with a thread and a cursor for each connection.
    pub(crate) async fn callers(&mut self, sql: &str, callers: usize, length: Length) -> Result<Outcome> {
        let Length::For { warm_up, measured } = length else { bail!("callers run for a time") };
        let command = json!({
            "do": "callers", "sql": sql, "callers": callers,
            "warm_up": warm_up.as_secs_f64(), "seconds": measured.as_secs_f64(),
        });
        let answer: Latencies = self.call(command).await?;
        Ok(Outcome::new(answer.latencies, answer.seconds))
    }

    async fn call<T: for<'de> Deserialize<'de>>(&mut self, command: Value) -> Result<T> {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await?;
        self.stdin.flush().await?;
        let line = self.stdout.next_line().await?.context("DuckDB's process has ended")?;
        let mut answer: Value = serde_json::from_str(&line)?;
        if let Some(error) = answer.get("error") {
            bail!("DuckDB: {error}");
        }
        Ok(serde_json::from_value(answer["ok"].take())?)
    }
}

/// A SQL string literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
