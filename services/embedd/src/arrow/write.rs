//! Vectors as an Arrow IPC stream.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{FixedSizeListArray, Float32Array, RecordBatch, UInt32Array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use crate::Error;
use crate::embedder::Embedded;
use crate::embedding::Embedding;

/// Rows of one batch.
const ROWS_MAX: usize = 4_096;

/// The columns `vector` and `tokens`, in the order of the texts; in the metadata of the schema `model`,
/// `fingerprint`, `dimension` and `cached`.
///
/// # Errors
/// None but a failure of ours.
pub(crate) fn write(embedded: &Embedded) -> Result<Vec<u8>, Error> {
    stream(embedded).map_err(|_| Error::Content("an answer cannot be written as Arrow"))
}

fn stream(embedded: &Embedded) -> Result<Vec<u8>, ArrowError> {
    let dimension = i32::try_from(embedded.dimension()).unwrap_or(i32::MAX);
    let number = Arc::new(Field::new("item", DataType::Float32, false));
    let metadata = HashMap::from([
        ("model".to_owned(), embedded.model.name.clone()),
        ("fingerprint".to_owned(), embedded.model.fingerprint(embedded.normalized).to_string()),
        ("dimension".to_owned(), dimension.to_string()),
        ("cached".to_owned(), embedded.cached.to_string()),
    ]);
    let fields = vec![
        Field::new("vector", DataType::FixedSizeList(number.clone(), dimension), false),
        Field::new("tokens", DataType::UInt32, false),
    ];
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let mut out = Vec::new();
    let mut writer = StreamWriter::try_new(&mut out, &schema)?;
    for rows in embedded.embeddings.chunks(ROWS_MAX) {
        let numbers: Vec<f32> = rows.iter().flat_map(|Embedding { vector, .. }| vector.iter().copied()).collect();
        let numbers = Arc::new(Float32Array::from(numbers));
        let vectors = FixedSizeListArray::try_new(number.clone(), dimension, numbers, None)?;
        let tokens = UInt32Array::from_iter_values(rows.iter().map(|row| row.tokens));
        writer.write(&RecordBatch::try_new(schema.clone(), vec![Arc::new(vectors), Arc::new(tokens)])?)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(out)
}
