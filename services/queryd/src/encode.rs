//! Results as bytes, in the format that the caller accepts.

mod arrow;
mod calendar;
mod cell;
mod csv;
mod json;
mod parquet;
mod text;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::engine::ResultColumn;
use crate::error::Error;

/// A format of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `{"columns", "rows", "row_count", "truncated"?}`
    Json,
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// Every format, the default first.
    pub(crate) const ALL: [Format; 5] = [Format::Json, Format::Ndjson, Format::Csv, Format::Arrow, Format::Parquet];

    /// Its media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv",
            Format::Arrow => "application/vnd.apache.arrow.stream",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Writes the beginning of an answer and gives what writes the rest.
    pub(crate) fn begin(
        self,
        columns: &[ResultColumn],
        schema: &SchemaRef,
        out: &mut Vec<u8>,
    ) -> Result<Box<dyn Encoder>, Error> {
        Ok(match self {
            Format::Json => Box::new(json::Rows::begin(columns, out)),
            Format::Ndjson => Box::new(json::Lines::begin(columns)),
            Format::Csv => Box::new(csv::Csv::begin(columns, out)),
            Format::Arrow => Box::new(arrow::Stream::begin(schema)?),
            Format::Parquet => Box::new(parquet::File::begin(schema)?),
        })
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) rows: u64,
    /// Whether `max_rows` cut it.
    pub(crate) truncated: bool,
}

/// Writes batches, and the end of an answer.
pub(crate) trait Encoder: Send {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error>;
    fn end(self: Box<Self>, end: End, out: &mut Vec<u8>) -> Result<(), Error>;
}
