//! One result in every format; and a failure on the way is seen in each.

use std::io::Cursor;

use anyhow::{Context as _, Result, ensure};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::context::Context;
use crate::http::{Answer, Http};

const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";
const ROWS: i64 = 300_000;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let http = &context.http;
    let sql = format!("SELECT range AS id, 'a,\"b' AS t, NULL AS n FROM range({ROWS}) ORDER BY id");
    text(http, &sql).await?;
    binary(http, &sql).await?;
    ask(http, "image/png", "SELECT 1").await?.problem(406, "not_acceptable")?;
    let short = json!({ "sql": format!("SELECT * FROM range({ROWS})"), "max_rows": 10 });
    let request = http.request(Method::POST, "/v1/sql").header(ACCEPT, "text/csv").json(&short);
    ensure!(http.send(request).await?.is(200)?.text().lines().count() == 11, "max_rows holds for CSV");
    breaks_off(http).await
}

async fn ask(http: &Http, accept: &str, sql: &str) -> Result<Answer> {
    let request = http.request(Method::POST, "/v1/sql").header(ACCEPT, accept).json(&json!({ "sql": sql }));
    http.send(request).await
}

async fn text(http: &Http, sql: &str) -> Result<()> {
    let csv = ask(http, "text/csv", sql).await?.is(200)?;
    ensure!(csv.header("content-type").starts_with("text/csv"), "{}", csv.header("content-type"));
    let csv = csv.text();
    let mut lines = csv.lines();
    ensure!(lines.next() == Some("id,t,n") && lines.next() == Some("0,\"a,\"\"b\","), "CSV: {:?}", csv.lines().nth(1));
    ensure!(csv.lines().count() as i64 == ROWS + 1, "CSV: {} lines", csv.lines().count());

    let ndjson = ask(http, "application/x-ndjson", sql).await?.is(200)?.text();
    let first: Value = serde_json::from_str(ndjson.lines().next().context("no line")?)?;
    ensure!(first == json!({ "id": 0, "t": "a,\"b", "n": null }), "NDJSON: {first}");
    ensure!(ndjson.lines().count() as i64 == ROWS, "NDJSON: {} lines", ndjson.lines().count());

    let json = ask(http, "application/json", sql).await?.is(200)?.json()?;
    ensure!(json["row_count"] == ROWS && json["rows"].as_array().is_some_and(|rows| rows.len() as i64 == ROWS), "JSON");
    Ok(())
}

async fn binary(http: &Http, sql: &str) -> Result<()> {
    let arrow = ask(http, ARROW, sql).await?.is(200)?;
    ensure!(arrow.header("content-type") == ARROW, "{}", arrow.header("content-type"));
    let batches = StreamReader::try_new(Cursor::new(arrow.body), None)?.collect::<Result<Vec<_>, _>>()?;
    whole(&batches).context("Arrow")?;
    let parquet: Bytes = ask(http, PARQUET, sql).await?.is(200)?.body;
    let batches = ParquetRecordBatchReaderBuilder::try_new(parquet)?.build()?.collect::<Result<Vec<_>, _>>()?;
    whole(&batches).context("Parquet")
}

fn whole(batches: &[RecordBatch]) -> Result<()> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    ensure!(rows as i64 == ROWS, "{rows} rows");
    let mut expected = 0..ROWS;
    for batch in batches {
        let ids = batch.column_by_name("id").context("no id")?.as_primitive_opt::<Int64Type>().context("id's type")?;
        ensure!(ids.values().iter().copied().eq(expected.by_ref().take(batch.num_rows())), "other ids");
    }
    Ok(())
}

/// The status has gone out when the row that cannot be cast is reached.
async fn breaks_off(http: &Http) -> Result<()> {
    let sql = "SELECT CAST(CASE WHEN range = 3999999 THEN 'x' ELSE range::VARCHAR END AS BIGINT) FROM range(4000000)";
    for accept in ["application/json", "text/csv", "application/x-ndjson", ARROW, PARQUET] {
        let failed = match ask(http, accept, sql).await {
            Ok(answer) => answer.status != 200,
            Err(_) => true,
        };
        ensure!(failed, "{accept}: half a result looks like a whole one");
    }
    Ok(())
}
