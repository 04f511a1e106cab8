//! Parquet and Arrow in, and how a format is told.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::{
    ArrayRef, DictionaryArray, DurationSecondArray, Float64Array, Int32Array, LargeStringArray, RecordBatch,
};
use arrow_ipc::writer::{FileWriter, StreamWriter};

use crate::platform::{Platform, answer, schema};

fn batch() -> RecordBatch {
    let roles: DictionaryArray<Int8Type> = ["driver", "nurse", "driver"].into_iter().collect();
    let names = LargeStringArray::from(vec![Some("Ann"), None, Some("Cid")]);
    let columns: [(&str, ArrayRef); 3] =
        [("id", Arc::new(Int32Array::from(vec![1, 2, 3]))), ("role", Arc::new(roles)), ("name", Arc::new(names))];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn arrow_and_parquet_are_told_by_their_first_bytes() {
    let platform = Platform::start().await;
    let batch = batch();
    let mut file = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    file.write(&batch).unwrap();
    file.finish().unwrap();
    let mut parquet = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    parquet.write(&batch).unwrap();
    let bodies = [
        ("arrow_stream", arrow_stream(&batch)),
        ("arrow_file", file.into_inner().unwrap()),
        ("parquet", parquet.into_inner().unwrap()),
    ];
    for (name, bytes) in bodies {
        let body = platform.ingest(name, bytes).await.expect(201);
        assert_eq!(schema(&body), ["id INTEGER", "role VARCHAR", "name VARCHAR"], "{name}");
        assert_eq!(platform.rows(name).await, ["1|driver|Ann", "2|nurse|", "3|driver|Cid"], "{name}");
    }
}

/// DuckDB believes the bounds that it finds in a file, and to it NaN is the greatest number.
#[tokio::test(flavor = "multi_thread")]
async fn nan_is_found_by_a_reader_that_believes_bounds() {
    let platform = Platform::start().await;
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.5, f64::NAN, 2.5]));
    let batch = RecordBatch::try_from_iter([("x", numbers)]).unwrap();
    platform.ingest("numbers", arrow_stream(&batch)).await.expect(201);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), platform.object(&platform.objects().await[0]).await).unwrap();
    let connection = duck::Database::open_in_memory(&[]).unwrap().connect().unwrap();
    let count = |condition: &str| {
        let path = duck::quote_literal(file.path().to_str().unwrap());
        let sql = format!("SELECT count(*) FROM read_parquet({path}) WHERE {condition}");
        let rows = connection.prepare(&sql).unwrap().execute().unwrap().next_batch().unwrap().unwrap();
        rows.column(0).as_primitive::<Int64Type>().value(0)
    };
    assert_eq!((count("x > 100"), count("x = 'nan'::DOUBLE"), count("x < 2")), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_of_its_kind_is_refused_without_our_paths() {
    let platform = Platform::start().await;
    let broken = [&b"PAR1 and then nothing"[..], b"ARROW1\0\0 and then nothing", b"\xff\xff\xff\xff\x08\0\0\0junk"];
    for bytes in broken {
        let body = platform.ingest("t", bytes).await.refused(400, "invalid_argument");
        assert!(!body["detail"].as_str().unwrap().contains("spool"), "{body}");
    }
    let spans: ArrayRef = Arc::new(DurationSecondArray::from(vec![1]));
    let spans = RecordBatch::try_from_iter([("span", spans)]).unwrap();
    let body = platform.ingest("t", arrow_stream(&spans)).await.refused(400, "invalid_argument");
    assert!(body["detail"].as_str().unwrap().contains("\"span\""), "{body}");
    platform.assert_untouched("t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parameter_then_the_name_then_the_type_say_what_a_body_is() {
    let platform = Platform::start().await;
    let body = platform.ingest("as_csv?format=csv", "{\"a\":1}\n").await.expect(201);
    assert_eq!(schema(&body), ["{\"a\":1} VARCHAR"]);
    let request = platform.post("typed").header("content-type", "application/x-ndjson").body("{\"a\":1}\n");
    assert_eq!(schema(&answer(request).await.expect(201)), ["a BIGINT"]);
    let request = platform.post("t").header("content-type", "image/png").body("x");
    answer(request).await.refused(415, "unsupported_media_type");
    let request = platform.post("t").header("content-type", "text/csv; charset=iso-8859-1").body("a\n1\n");
    answer(request).await.refused(415, "unsupported_media_type");
    for query in ["?mod=append", "?mode=x", "?format=xlsx", "?encoding=latin1", "?header=maybe", "?types=x"] {
        platform.ingest(&format!("t{query}"), "a\n1\n").await.refused(400, "invalid_argument");
    }
    platform.ingest("Bad-Name", "a\n1\n").await.refused(400, "invalid_argument");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_carries_one_file() {
    let platform = Platform::start().await;
    let part = |text: &'static str, name: &str| reqwest::multipart::Part::text(text).file_name(name.to_owned());
    let form = reqwest::multipart::Form::new().part("file", part("a\tb\n1\t2\n", "Workers.tsv"));
    let body = answer(platform.post("form").multipart(form)).await.expect(201);
    assert_eq!(schema(&body), ["a BIGINT", "b BIGINT"]);
    let named = reqwest::multipart::Form::new().part("file", part("{\"a\":1}\n", "x.ndjson"));
    assert_eq!(schema(&answer(platform.post("named").multipart(named)).await.expect(201)), ["a BIGINT"]);
    let other = reqwest::multipart::Form::new().text("name", "x").part("file", part("a\n1\n", "x.csv"));
    answer(platform.post("t").multipart(other)).await.refused(400, "invalid_argument");
    let none = reqwest::multipart::Form::new();
    answer(platform.post("t").multipart(none)).await.refused(400, "invalid_argument");
    platform.assert_untouched_by("t").await;
}

impl Platform {
    async fn assert_untouched_by(&self, name: &str) {
        assert!(self.manifest(name).await.is_none());
        assert_eq!(self.spooled(), 0);
    }
}
