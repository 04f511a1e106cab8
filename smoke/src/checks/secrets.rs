//! What has happened so far has told nobody the keys.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::context::Context;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    // Whatever was asked before, by name or by number: this fails inside of DuckDB, where its keys are.
    for sql in ["SELECT error('late')", "FROM duckdb_secrets()", "SELECT * FROM read_parquet('s3://smoke/datasets/x')"]
    {
        context.http.post_json("/v1/sql", &json!({ "sql": sql })).await?;
    }
    let metrics = context.http.get("/metrics").await?.is(200)?.text();
    let health = context.http.get("/health").await?.text();
    let log = context.log()?.unwrap_or_default();
    ensure!(!context.is_own() || log.contains("answered"), "the log does not have requests");
    for secret in context.secrets() {
        for (place, text) in [("log", &log), ("metrics", &metrics), ("health", &health)] {
            let line = text.lines().find(|line| line.contains(secret));
            ensure!(line.is_none(), "the {place} tells a secret: {}", line.context("a line")?.replace(secret, "***"));
        }
    }
    Ok(())
}
