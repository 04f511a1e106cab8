//! Arrow IPC, stream or file, straight to batches; types that Parquet has not are cast.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use super::{Failure, Opened, Opening, Result, Source};
use crate::column::{check_names, type_text};
use crate::error::Error;

pub(super) enum Container {
    Stream,
    File,
}

struct Arrow {
    batches: Box<dyn Iterator<Item = std::result::Result<RecordBatch, ArrowError>> + Send>,
    /// For each column stored, its place in the file.
    order: Vec<usize>,
    schema: SchemaRef,
}

pub(super) fn open(path: &Path, container: Container, opening: &Opening<'_>) -> Opened {
    opening.self_describing("arrow")?;
    let file = BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::spool)?);
    let (found, batches): (_, Box<dyn Iterator<Item = _> + Send>) = match container {
        Container::Stream => {
            let reader = StreamReader::try_new(file, None).map_err(malformed)?;
            (reader.schema(), Box::new(reader))
        }
        Container::File => {
            let reader = FileReader::try_new(file, None).map_err(malformed)?;
            (reader.schema(), Box::new(reader))
        }
    };
    check_names(found.fields().iter().map(|field| field.name().as_str()), opening.config.columns_max)?;
    let names: Vec<_> = found.fields().iter().map(|field| field.name().clone()).collect();
    let arranged = opening.arrange(&names)?;
    let places: HashMap<&String, usize> = names.iter().zip(0..).collect();
    let order: Vec<_> = arranged.iter().filter_map(|name| places.get(name).copied()).collect();
    let stored = |&at: &usize| {
        let field = Field::new(found.field(at).name(), storable(found.field(at).data_type()), true);
        type_text(&field).map(|_| field)
    };
    let fields = order.iter().map(stored).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(Arrow { batches, order, schema: Arc::new(Schema::new(fields)) }))
}

impl Source for Arrow {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn next_batch(&mut self) -> std::result::Result<Option<RecordBatch>, Failure> {
        let Some(batch) = self.batches.next().transpose().map_err(malformed)? else { return Ok(None) };
        let cast = |(&at, field): (&usize, &FieldRef)| -> Result<ArrayRef> {
            let from = batch.column(at);
            if from.data_type() == field.data_type() {
                return Ok(from.clone());
            }
            // A value that does not fit is an error, not a null.
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(from, field.data_type(), &strict)
                .map_err(|error| Error::invalid(format!("column {:?}: {error}", field.name())))
        };
        let columns = self.order.iter().zip(self.schema.fields()).map(cast).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(malformed)?;
        Ok(Some(batch))
    }
}

fn malformed(error: ArrowError) -> Error {
    Error::invalid(format!("arrow: {error}"))
}

/// What an Arrow type is stored as; a type that is not, is left as it is, and refused later.
fn storable(from: &DataType) -> DataType {
    let child = |field: &FieldRef| Arc::new(Field::new(field.name(), storable(field.data_type()), true));
    match from {
        DataType::Null | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Time32(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        DataType::Decimal32(width, scale) | DataType::Decimal64(width, scale) => DataType::Decimal128(*width, *scale),
        DataType::Decimal256(_, scale) => DataType::Decimal128(38, *scale),
        DataType::Dictionary(_, value) => storable(value),
        DataType::RunEndEncoded(_, value) => storable(value.data_type()),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            DataType::List(child(field))
        }
        DataType::ListView(field) | DataType::LargeListView(field) => DataType::List(child(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(child).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_many_types_become_parquets_few() {
        let words = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8));
        assert_eq!(storable(&words), DataType::Utf8);
        let vectors = DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float16, false)), 3);
        let stored = DataType::List(Arc::new(Field::new("item", DataType::Float32, true)));
        assert_eq!(storable(&vectors), stored);
        let span = DataType::Duration(TimeUnit::Second);
        assert!(type_text(&Field::new("span", storable(&span), true)).unwrap_err().to_string().contains("\"span\""));
    }
}
