//! Every format, small and large, whole and broken.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use bytes::Bytes;
use parquet::basic::ColumnOrder;
use parquet::file::metadata::ParquetMetaDataReader;
use serde_json::{Value, json};

use crate::platform::Platform;

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";
const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

async fn fetch(platform: &Platform, sql: &str, accept: &str) -> (http::HeaderMap, Bytes) {
    let answer = platform.post("v1/sql", &json!({ "sql": sql })).header("accept", accept).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{sql}: {}", String::from_utf8_lossy(&body));
    assert_eq!(headers["content-type"], accept);
    (headers, body)
}

fn arrow_rows(body: &[u8]) -> (Vec<String>, usize) {
    let reader = arrow_ipc::reader::StreamReader::try_new(body, None).unwrap();
    let names = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    (names, reader.map(|batch| batch.unwrap().num_rows()).sum())
}

fn parquet_rows(body: Bytes) -> (usize, usize) {
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(body).unwrap();
    let groups = reader.metadata().num_row_groups();
    (groups, reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum())
}

/// What DuckDB alone answers to a statement of one text.
fn duckdb_text(sql: &str) -> String {
    let connection = duck::Database::open_in_memory(&[]).unwrap().connect().unwrap();
    let batch = connection.prepare(sql).unwrap().execute().unwrap().next_batch().unwrap().unwrap();
    batch.column(0).as_string::<i32>().value(0).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_answers_in_every_format() {
    let platform = Platform::with_data().await;
    let sql = "SELECT 1 AS a, 'x,\"y\"' AS \"b c\", NULL AS n, '' AS e, [1] AS l, DATE '2024-01-02' AS d";
    let (headers, body) = fetch(&platform, sql, CSV).await;
    assert_eq!(body, "a,b c,n,e,l,d\r\n1,\"x,\"\"y\"\"\",,\"\",[1],2024-01-02\r\n");
    assert_eq!(
        (&headers["lakehouse-rows"], &headers["lakehouse-truncated"]),
        (&"1".parse().unwrap(), &"false".parse().unwrap())
    );
    let (_, body) = fetch(&platform, sql, NDJSON).await;
    let line: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(line, json!({ "a": 1, "b c": "x,\"y\"", "n": null, "e": "", "l": [1], "d": "2024-01-02" }));
    let (_, body) = fetch(&platform, "SELECT id, name FROM workers", ARROW).await;
    assert_eq!(arrow_rows(&body), (vec!["id".to_owned(), "name".to_owned()], 100));
    let (_, body) = fetch(&platform, "SELECT * FROM workers", PARQUET).await;
    assert_eq!(parquet_rows(body), (1, 100));
    for (accept, rows) in [(ARROW, 0), (PARQUET, 0)] {
        let (_, body) = fetch(&platform, "SELECT * FROM workers WHERE false", accept).await;
        assert_eq!(if accept == ARROW { arrow_rows(&body).1 } else { parquet_rows(body).1 }, rows);
    }
    let refused =
        platform.post("v1/sql", &json!({ "sql": "SELECT 1" })).header("accept", "text/html").send().await.unwrap();
    assert_eq!(refused.status(), 406);
    let refused = platform
        .post("v1/sql", &json!({ "sql": "SELECT INTERVAL 1 DAY" }))
        .header("accept", PARQUET)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 400);
}

/// To DuckDB NaN is the greatest number. Bounds that leave it out would have it pass over those rows.
#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_for_readers_of_every_age_and_hides_no_nan() {
    let platform = Platform::start().await;
    let sql = "SELECT x, [x] AS l, x::FLOAT AS f, 'a' AS t \
               FROM (VALUES (1.5::DOUBLE), ('nan'::DOUBLE), (NULL)) AS v (x)";
    let (_, body) = fetch(&platform, sql, PARQUET).await;
    let footer = ParquetMetaDataReader::new().parse_and_finish(&body).unwrap();
    let orders = footer.file_metadata().column_orders().unwrap();
    assert_eq!(orders.len(), 4);
    assert!(orders.iter().all(|order| matches!(order, ColumnOrder::TYPE_DEFINED_ORDER(_))), "{orders:?}");
    let file = platform.folder.path().join("answer.parquet");
    std::fs::write(&file, &body).unwrap();
    let found = format!(
        "SELECT (count(*) FILTER (x > 100)) || ' ' || (count(*) FILTER (f > 100)) || ' ' || max(x) FROM read_parquet({})",
        duck::quote_literal(file.to_str().unwrap())
    );
    assert_eq!(duckdb_text(&found), "1 1 nan");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_stream_in_every_format() {
    let platform = Platform::start().await;
    let sql = "SELECT range AS i, 'value ' || range AS s FROM range(300000)";
    let (headers, body) = fetch(&platform, sql, "application/json").await;
    assert!(headers.get("content-length").is_none() && headers.contains_key("trailer"), "{headers:?}");
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&answer["row_count"], &answer["rows"][299_999]), (&json!(300_000), &json!([299_999, "value 299999"])));
    let (_, body) = fetch(&platform, sql, NDJSON).await;
    assert_eq!(body.iter().filter(|byte| **byte == b'\n').count(), 300_000);
    let (_, body) = fetch(&platform, sql, CSV).await;
    assert!(body.ends_with(b"299999,value 299999\r\n"));
    let (_, body) = fetch(&platform, sql, ARROW).await;
    assert_eq!(arrow_rows(&body).1, 300_000);
    let (_, body) = fetch(&platform, sql, PARQUET).await;
    assert_eq!(parquet_rows(body), (3, 300_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_answer_says_so() {
    let platform = Platform::start().await;
    for (rows, max, truncated) in
        [(10, 10, false), (10, 9, true), (10, 0, true), (5_000, 2_048, true), (100_000, 50_000, true)]
    {
        let (status, body) = platform.ask(json!({ "sql": format!("FROM range({rows})"), "max_rows": max })).await;
        assert_eq!((status, body["row_count"].as_u64()), (200, Some(max.min(rows))));
        assert_eq!(body["truncated"].as_bool(), truncated.then_some(true), "{rows} {max}");
    }
    let body = json!({ "sql": "FROM range(10)", "max_rows": 3 });
    let answer = platform.post("v1/sql", &body).header("accept", CSV).send().await.unwrap();
    assert_eq!(answer.headers()["lakehouse-truncated"], "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_on_the_way_breaks_the_answer_off_in_every_format() {
    let platform = Arc::new(Platform::start().await);
    let sql = "SELECT range AS i, CASE WHEN range = 2900000 THEN error('late') ELSE 'value ' || range END AS s FROM range(3000000)";
    for accept in ["application/json", NDJSON, CSV, ARROW, PARQUET] {
        let answer = platform.post("v1/sql", &json!({ "sql": sql })).header("accept", accept).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{accept}");
        assert!(answer.bytes().await.is_err(), "{accept}: the client takes a broken answer for a whole one");
    }
}
