//! The command-line client, as a script uses it.

use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::process::Command;

use crate::context::Context;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let name = context.name("client");
    let file = context.folder.path().join("Sample Workers.ndjson");
    let path = file.display().to_string();
    let sample = lakehouse(context, &["sample", "workers", "--rows", "500", "--format", "ndjson", "-o", &path]).await?;
    ends_with(&sample, 0)?;
    ends_with(&lakehouse(context, &["ingest", &path, "--name", &name]).await?, 0)?;
    ensure!(context.http.count(&name).await? == 500, "the sample was not ingested whole");

    let sql = format!("SELECT count(*) AS n, min(id) AS least FROM {name} WHERE hourly_pay > $least");
    let csv = lakehouse(context, &["sql", &sql, "--param", "least=0"]).await?;
    ends_with(&csv, 0)?;
    ensure!(csv.stdout == b"n,least\n500,1\n", "CSV where it is piped: {:?}", String::from_utf8_lossy(&csv.stdout));
    let json = lakehouse(context, &["sql", "SELECT 1 AS a", "--format", "json"]).await?;
    let told: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    ensure!(told["rows"] == json!([[1]]), "{told}");
    let table = lakehouse(context, &["sql", "SELECT 1 AS a, NULL AS b", "--format", "table"]).await?;
    ensure!(String::from_utf8_lossy(&table.stdout).contains("NULL"), "a table shows NULL");
    let listed = lakehouse(context, &["datasets"]).await?;
    ensure!(String::from_utf8_lossy(&listed.stdout).contains(&name), "datasets lacks {name}");
    ends_with(&lakehouse(context, &["health"]).await?, 0)?;

    // Once more: it exists.
    let again = lakehouse(context, &["ingest", &path, "--name", &name]).await?;
    ends_with(&again, 4)?;
    let error = String::from_utf8_lossy(&again.stderr).into_owned();
    ensure!(error.starts_with("error: ") && error.contains("code already_exists, request "), "{error}");
    ensure!(again.stdout.is_empty(), "an error on standard output");
    ends_with(&lakehouse(context, &["sql", "SELEC 1"]).await?, 4)?;
    ends_with(&lakehouse(context, &["ingest", "/no/such/file"]).await?, 1)?;
    ends_with(&lakehouse(context, &["nonsense"]).await?, 2)?;
    ends_with(&lakehouse(context, &["sql", "SELECT 1", "--url", "http://127.0.0.1:1"]).await?, 3)?;
    ends_with(&lakehouse(context, &["datasets", &name, "--delete"]).await?, 0)
}

async fn lakehouse(context: &Context, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(&context.binary);
    command.args(arguments).env("LAKEHOUSE_URL", context.http.base().as_str());
    command.stdin(Stdio::null()).kill_on_drop(true).output().await.with_context(|| arguments.join(" "))
}

fn ends_with(output: &Output, code: i32) -> Result<()> {
    ensure!(
        output.status.code() == Some(code),
        "{} instead of exit code {code}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
