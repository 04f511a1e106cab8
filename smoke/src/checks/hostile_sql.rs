//! SQL that wants more than to read datasets.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::context::Context;
use crate::raw::Connection;

/// One statement a line. `{t}` is a dataset, `{file}` a file that no statement may read, `{new}`
/// one that none may write.
const STATEMENTS: &str = include_str!("hostile.sql");
const SECRET: &str = "smoke-canary-5d41402a";
/// Of the S3 server, where there is one.
const S3_SECRET: &str = "testbed-secret";

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let (http, name) = (&context.http, context.name("hostile"));
    http.ingest(&name, "", "id\n1\n2\n").await?.is(201)?;
    let file = context.folder.path().join("canary.csv");
    let new = context.folder.path().join("written");
    std::fs::write(&file, format!("a\n{SECRET}\n"))?;
    // All on one connection: a refusal that ends it would be seen.
    let mut connection = Connection::open(http.base()).await?;
    let mut leaks = Vec::new();
    let mut count = 0;
    for line in STATEMENTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let sql = filled(line, &name, &file, &new);
        let body = json!({ "sql": sql }).to_string();
        let answer = connection.send("POST /v1/sql", &["content-type: application/json"], body.as_bytes()).await;
        let answer = answer.with_context(|| sql.clone())?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let refused = matches!(answer.status, 400 | 403) && answer.head.contains("application/problem+json");
        if !refused || text.contains(SECRET) || text.contains(S3_SECRET) {
            leaks.push(format!("{} {sql}", answer.status));
        }
        count += 1;
    }
    ensure!(leaks.is_empty(), "{} of {count} got through:\n  {}", leaks.len(), leaks.join("\n  "));
    ensure!(count >= 100, "only {count} statements");
    ensure!(!new.exists(), "something was written");
    ensure!(http.count(&name).await? == 2, "the dataset changed");
    ensure!(http.value("SELECT 1").await? == 1, "statements are no longer answered");
    Ok(())
}

fn filled(line: &str, dataset: &str, file: &Path, new: &Path) -> String {
    line.replace("{t}", dataset)
        .replace("{file}", &file.display().to_string())
        .replace("{new}", &new.display().to_string())
        .replace("\\n", "\n")
}
