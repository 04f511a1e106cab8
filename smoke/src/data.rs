//! Files of every format, made by other hands than the platform's.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use parquet::arrow::ArrowWriter;
use tokio::io::AsyncWriteExt as _;

/// `id`, `name`, `pay`: row `i` has id `i`, a name of its own and pay `10 + i / 4`.
pub(crate) fn batch(rows: i64) -> Result<RecordBatch> {
    let ids = Int64Array::from_iter_values(0..rows);
    let names = StringArray::from_iter_values((0..rows).map(name));
    let pays = Float64Array::from_iter_values((0..rows).map(pay));
    let columns: [(&str, ArrayRef); 3] = [("id", Arc::new(ids)), ("name", Arc::new(names)), ("pay", Arc::new(pays))];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn name(i: i64) -> String {
    format!("worker {i}")
}

fn pay(i: i64) -> f64 {
    10.0 + i as f64 / 4.0
}

pub(crate) fn csv(rows: i64) -> String {
    let row = |i| format!("{i},{},{}\n", name(i), pay(i));
    std::iter::once("id,name,pay\n".to_owned()).chain((0..rows).map(row)).collect()
}

pub(crate) fn ndjson(rows: i64) -> String {
    (0..rows).map(|i| object(i) + "\n").collect()
}

pub(crate) fn json_array(rows: i64) -> String {
    let objects: Vec<String> = (0..rows).map(object).collect();
    format!("[{}]", objects.join(","))
}

fn object(i: i64) -> String {
    format!(r#"{{"id":{i},"name":"{}","pay":{:?}}}"#, name(i), pay(i))
}

pub(crate) fn parquet(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

pub(crate) fn arrow_stream(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

pub(crate) fn arrow_file(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

pub(crate) async fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(bytes).await?;
    encoder.shutdown().await?;
    Ok(encoder.into_inner())
}

pub(crate) async fn zstd(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ZstdEncoder::new(Vec::new());
    encoder.write_all(bytes).await?;
    encoder.shutdown().await?;
    Ok(encoder.into_inner())
}

/// Bytes that depend on the seed alone, and that no compression makes short.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
