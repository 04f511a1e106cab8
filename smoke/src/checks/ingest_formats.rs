//! The same rows come out of every format.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::context::Context;
use crate::data;
use crate::http::{Answer, Http};

const ROWS: i64 = 5_000;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let http = &context.http;
    let batch = data::batch(ROWS)?;
    let csv = data::csv(ROWS);
    let bodies: [(&str, &str, Vec<u8>); 8] = [
        ("csv", "format=csv", csv.clone().into()),
        ("sniffed", "", csv.clone().into()),
        ("semicolons", "format=csv&delimiter=;", csv.replace(',', ";").into()),
        ("ndjson", "format=ndjson", data::ndjson(ROWS).into()),
        ("json", "format=json", data::json_array(ROWS).into()),
        ("parquet", "format=parquet", data::parquet(&batch)?),
        ("arrow_stream", "format=arrow", data::arrow_stream(&batch)?),
        ("arrow_file", "format=arrow", data::arrow_file(&batch)?),
    ];
    for (format, query, body) in bodies {
        let name = context.name(&format!("ingest_{format}"));
        let answer = http.ingest(&name, query, body).await?;
        holds_the_rows(http, &name, answer).await.with_context(|| format.to_owned())?;
    }
    for (encoding, body) in [("gzip", data::gzip(csv.as_bytes()).await?), ("zstd", data::zstd(csv.as_bytes()).await?)] {
        let name = context.name(&format!("ingest_{encoding}"));
        let request = http.request(Method::POST, &format!("/v1/ingest/{name}?format=csv"));
        let answer = http.send(request.header("content-encoding", encoding).body(body)).await?;
        holds_the_rows(http, &name, answer).await.with_context(|| encoding.to_owned())?;
    }
    let name = context.name("ingest_multipart");
    let form = Form::new().part("file", Part::bytes(csv.clone().into_bytes()).file_name("workers.csv"));
    let answer = http.send(http.request(Method::POST, &format!("/v1/ingest/{name}")).multipart(form)).await?;
    holds_the_rows(http, &name, answer).await.context("multipart")?;
    streamed(context, &csv).await.context("a body of unknown length")?;
    typed(context).await.context("types that the caller knows better")
}

async fn holds_the_rows(http: &Http, name: &str, answer: Answer) -> Result<()> {
    let told = answer.is(201)?.json()?;
    ensure!(told["rows"] == ROWS && told["version"] == 1 && told["name"] == name, "answered {told}");
    ensure!(told["objects"].as_u64() >= Some(1) && told["bytes"].as_u64() > Some(0), "answered {told}");
    let rows = http.rows(&format!("SELECT count(*), sum(id), min(name), max(pay) FROM {name}")).await?;
    // A sum of BIGINT is a HUGEINT: an exact string.
    let sum = (ROWS * (ROWS - 1) / 2).to_string();
    let highest = 10.0 + (ROWS - 1) as f64 / 4.0;
    ensure!(rows == [json!([ROWS, sum, "worker 0", highest])], "holds {rows:?}");
    Ok(())
}

/// `Transfer-Encoding: chunked`, as from a pipe.
async fn streamed(context: &Context, csv: &str) -> Result<()> {
    let (http, name) = (&context.http, context.name("ingest_streamed"));
    let chunks: Vec<std::io::Result<Bytes>> =
        csv.as_bytes().chunks(1_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let answer = http.ingest(&name, "format=csv", body).await?;
    holds_the_rows(http, &name, answer).await
}

async fn typed(context: &Context) -> Result<()> {
    let (http, name) = (&context.http, context.name("ingest_typed"));
    let csv = "zip,pay,since\n00501,1.10,2024-02-29\n99950,NA,2023-01-01\n";
    http.ingest(&name, "types=zip:VARCHAR,pay:DECIMAL(9,2)&null=NA", csv).await?.is(201)?;
    let rows = http.rows(&format!("SELECT zip, pay, since, typeof(pay) FROM {name} ORDER BY zip")).await?;
    let wanted =
        [json!(["00501", "1.10", "2024-02-29", "DECIMAL(9,2)"]), json!(["99950", null, "2023-01-01", "DECIMAL(9,2)"])];
    ensure!(rows == wanted, "{rows:?}");
    Ok(())
}
