//! Answers as an Arrow IPC stream.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray, UInt32Array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::{ID, METADATA, VECTOR};
use crate::Error;
use crate::indexes::Answers;
use crate::settings::score;
use crate::store::Found;

/// Rows of one batch: the text in a column has 32-bit offsets.
const ROWS_MAX: usize = 4_096;

/// The columns `query` (which of the targets), `id`, `distance`, `score`, and as asked `metadata` and
/// `vector`; in the order of the targets, the nearest first.
///
/// # Errors
/// None but a failure of ours.
pub(crate) fn write(answers: &Answers, with_metadata: bool, with_vector: bool) -> Result<Vec<u8>, Error> {
    stream(answers, with_metadata, with_vector).map_err(|_| Error::Content("an answer cannot be written as Arrow"))
}

fn stream(answers: &Answers, with_metadata: bool, with_vector: bool) -> Result<Vec<u8>, ArrowError> {
    let mut fields = vec![
        Field::new("query", DataType::UInt32, false),
        Field::new(ID, DataType::Utf8, false),
        Field::new("distance", DataType::Float32, false),
        Field::new("score", DataType::Float32, false),
    ];
    if with_metadata {
        fields.push(Field::new(METADATA, DataType::Utf8, false));
    }
    let component = Arc::new(Field::new("item", DataType::Float32, false));
    let dimension = answers.dimension as i32;
    if with_vector {
        fields.push(Field::new(VECTOR, DataType::FixedSizeList(component.clone(), dimension), false));
    }
    let schema = Arc::new(Schema::new(fields));
    let mut out = Vec::new();
    let mut writer = StreamWriter::try_new(&mut out, &schema)?;
    for (query, list) in answers.lists.iter().enumerate() {
        for rows in list.chunks(ROWS_MAX) {
            let mut columns = columns(query as u32, rows, answers.metric);
            if with_metadata {
                columns.push(texts(rows, |found| found.record.metadata_json()));
            }
            if with_vector {
                let floats: Vec<f32> = rows.iter().flat_map(|found| found.vector.iter().flatten().copied()).collect();
                let floats = Arc::new(Float32Array::from(floats));
                columns.push(Arc::new(FixedSizeListArray::try_new(component.clone(), dimension, floats, None)?));
            }
            writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
        }
    }
    writer.finish()?;
    drop(writer);
    Ok(out)
}

fn columns(query: u32, rows: &[Found], metric: ann::Metric) -> Vec<ArrayRef> {
    let scores = rows.iter().map(|found| score(metric, found.distance));
    vec![
        Arc::new(UInt32Array::from_value(query, rows.len())),
        texts(rows, |found| found.record.id()),
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|found| found.distance))),
        Arc::new(Float32Array::from_iter_values(scores)),
    ]
}

fn texts(rows: &[Found], text: impl Fn(&Found) -> &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
}
