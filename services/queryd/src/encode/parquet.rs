//! A Parquet file, written as it grows: a row group leaves memory when it is full.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{Encoder, End};
use crate::error::Error;

/// Bytes of values, before compression, that make a row group.
const ROW_GROUP_BYTES: usize = 64 << 20;
const ROW_GROUP_ROWS: usize = 122_880;

pub(super) struct File(ArrowWriter<Vec<u8>>);

impl File {
    pub(super) fn begin(schema: &SchemaRef) -> Result<Self, Error> {
        if let Some(field) = schema.fields().iter().find(|field| has_no_parquet_type(field.data_type())) {
            let name = field.name();
            return Err(Error::Unencodable(format!("column {name:?} is of a type that Parquet has not: cast it")));
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .build();
        ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).map(File).map_err(unencodable)
    }
}

fn has_no_parquet_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Union(..) | DataType::Interval(_) => true,
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
            has_no_parquet_type(f.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|field| has_no_parquet_type(field.data_type())),
        _ => false,
    }
}

fn unencodable(error: ParquetError) -> Error {
    Error::Unencodable(format!("the result cannot be written as Parquet: {error}"))
}

impl Encoder for File {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.write(batch).map_err(unencodable)?;
        out.append(self.0.inner_mut());
        Ok(())
    }

    fn end(mut self: Box<Self>, _: End, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.finish().map_err(unencodable)?;
        out.append(self.0.inner_mut());
        Ok(())
    }
}
