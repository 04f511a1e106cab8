//! Modes, and what fails leaves nothing behind.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::context::Context;
use crate::http::Http;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    modes(context).await.context("modes")?;
    malformed(context).await.context("malformed rows")?;
    skipped(context).await.context("on_error=skip")
}

async fn modes(context: &Context) -> Result<()> {
    let (http, name) = (&context.http, context.name("modes"));
    http.ingest(&name, "mode=append", "id,city\n1,Joliet\n").await?.problem(404, "not_found")?;
    http.ingest(&name, "mode=create", "id,city\n1,Joliet\n").await?.is(201)?;
    http.ingest(&name, "mode=create", "id,city\n2,Elgin\n").await?.problem(409, "already_exists")?;
    http.ingest(&name, "mode=append", "id,city\n2,Elgin\n").await?.is(200)?;
    ensure!(http.count(&name).await? == 2, "an append adds");
    let differs = http.ingest(&name, "mode=append", "id,town\n3,Aurora\n").await?.is(409)?.text();
    ensure!(differs.contains("town") && differs.contains("city"), "the columns that differ are not named: {differs}");
    http.ingest(&name, "mode=replace", "id,city\n9,Peoria\n").await?.is(200)?;
    ensure!(http.rows(&format!("SELECT * FROM {name}")).await? == [json!([9, "Peoria"])], "a replace replaces");
    let older = http.rows(&format!("SELECT count(*) FROM dataset_at('{name}', 2)")).await?;
    ensure!(older == [json!([2])], "an older version: {older:?}");
    http.ingest(&name, "mode=appendd", "id\n1\n").await?.problem(400, "invalid_argument")?;
    http.ingest(&name, "modee=append", "id\n1\n").await?.problem(400, "invalid_argument")?;
    http.ingest("Not-A-Name", "", "id\n1\n").await?.problem(400, "invalid_argument")?;
    Ok(())
}

/// So many good rows that the bad one is not among those the types were guessed from.
fn with_one_bad_row() -> (String, usize) {
    let mut csv = "id,pay\n".to_owned();
    (0..60_000).for_each(|i| csv.push_str(&format!("{i},{i}.5\n")));
    csv.push_str("60000,plenty\n");
    (csv, 60_002)
}

async fn malformed(context: &Context) -> Result<()> {
    let (http, name) = (&context.http, context.name("malformed"));
    let (csv, line) = with_one_bad_row();
    let problem =
        http.ingest(&name, "types=id:BIGINT,pay:DOUBLE", csv.clone()).await?.problem(400, "invalid_argument")?;
    ensure!(problem["line"] == line, "line {line} is not named: {problem}");
    ensure!(problem["column"] == "pay" && problem["value"] == "plenty", "column and value: {problem}");
    nothing_is_left(http, &name).await?;
    let ragged = "id,pay\n1,2.5\n2,3.5,extra\n";
    http.ingest(&name, "format=csv&types=id:BIGINT,pay:DOUBLE", ragged).await?.problem(400, "invalid_argument")?;
    http.ingest(&name, "format=ndjson", "{\"id\":1}\n{\"id\":\n").await?.problem(400, "invalid_argument")?;
    http.ingest(&name, "format=parquet", "PAR1 and nothing else").await?.problem(400, "invalid_argument")?;
    http.ingest(&name, "format=csv", "").await?.problem(400, "invalid_argument")?;
    nothing_is_left(http, &name).await?;
    // A dataset that was there stays as it was.
    http.ingest(&name, "", "id,pay\n1,2.5\n").await?.is(201)?;
    http.ingest(&name, "mode=append", csv).await?.is(400)?;
    ensure!(http.count(&name).await? == 1, "half a file was appended");
    let versions = http.get(&format!("/v1/catalog/datasets/{name}/versions")).await?.is(200)?.json()?;
    ensure!(versions["versions"].as_array().is_some_and(|list| list.len() == 1), "a version is left: {versions}");
    Ok(())
}

async fn nothing_is_left(http: &Http, name: &str) -> Result<()> {
    http.get(&format!("/v1/catalog/datasets/{name}")).await?.problem(404, "not_found").map(drop)
}

async fn skipped(context: &Context) -> Result<()> {
    let (http, name) = (&context.http, context.name("skipped"));
    let bad: String = (0..30).map(|i| format!("x{i},1\n")).collect();
    let csv = format!("id,pay\n1,2\n{bad}2,3\n");
    let told = http.ingest(&name, "on_error=skip&types=id:BIGINT,pay:DOUBLE", csv).await?.is(201)?.json()?;
    ensure!(told["rows"] == 2 && told["skipped"] == 30, "{told}");
    ensure!(told["errors"].as_array().is_some_and(|errors| errors.len() == 20), "the first 20: {told}");
    ensure!(told["errors"][0]["line"] == 3, "the first: {told}");
    ensure!(http.count(&name).await? == 2, "the good rows");
    Ok(())
}
