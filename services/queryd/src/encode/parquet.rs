//! A Parquet file, written as it grows: a row group leaves memory when it is full.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Type, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

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
        ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties(schema)?)).map(File).map_err(unencodable)
    }
}

fn properties(schema: &SchemaRef) -> Result<WriterProperties, Error> {
    let described = ArrowSchemaConverter::new().convert(schema).map_err(unencodable)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
    // Bounds of floats leave NaN out, and DuckDB, to which it is the greatest number, would believe them.
    let floats = described.columns().iter().filter(|leaf| matches!(leaf.physical_type(), Type::FLOAT | Type::DOUBLE));
    let without = floats.fold(properties, |properties, leaf| {
        properties.set_column_statistics_enabled(leaf.path().clone(), EnabledStatistics::None)
    });
    Ok(without.build())
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
        let written = self.0.finish().map_err(unencodable)?;
        let end = self.0.inner_mut();
        let columns = written.file_metadata().schema_descr().num_columns();
        column_order::by_type(end, columns).map_err(|error| unencodable(ParquetError::External(error.into())))?;
        out.append(end);
        Ok(())
    }
}
