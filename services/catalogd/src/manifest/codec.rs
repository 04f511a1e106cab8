//! A manifest as a Parquet file, **fixed** for format version 1 (docs: DESIGN, "Formats that last").
//!
//! One line per object: its key, size, etag, the version that added it, whether this version
//! kept, added or removed it, and its column statistics. The version as a whole stands in the
//! key-value metadata: `lakehouse.format_version` and `lakehouse.manifest` (JSON, see `header`).

use std::panic::catch_unwind;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field as ArrowField, Fields, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::header::Header;
use super::{ColumnStatistics, Manifest, Object};

const FORMAT_VERSION: u32 = 1;
const FORMAT_KEY: &str = "lakehouse.format_version";
const HEADER_KEY: &str = "lakehouse.manifest";
const LINES_PER_BATCH: usize = 8_192;

const EXISTING: &str = "existing";
const ADDED: &str = "added";
const REMOVED: &str = "removed";

/// Writes a manifest. Takes CPU time in proportion to its objects: keep it off async workers.
///
/// # Errors
/// What the Parquet writer says: nothing that a valid manifest provokes.
pub(crate) fn encode(manifest: &Manifest) -> Result<Bytes, String> {
    let batch = lines(manifest).map_err(|error| error.to_string())?;
    let header = serde_json::to_string(&Header::from(manifest)).map_err(|error| error.to_string())?;
    let metadata = vec![
        KeyValue::new(FORMAT_KEY.to_owned(), FORMAT_VERSION.to_string()),
        KeyValue::new(HEADER_KEY.to_owned(), header),
    ];
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(metadata))
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).map_err(|e| e.to_string())?;
    writer.write(&batch).map_err(|error| error.to_string())?;
    writer.close().map_err(|error| error.to_string())?;
    Ok(file.into())
}

fn statistics_fields() -> Fields {
    Fields::from(vec![
        ArrowField::new("field_id", DataType::Int32, false),
        ArrowField::new("min", DataType::Utf8, true),
        ArrowField::new("max", DataType::Utf8, true),
        ArrowField::new("nulls", DataType::Int64, true),
    ])
}

fn lines(manifest: &Manifest) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let mut texts = [StringBuilder::new(), StringBuilder::new(), StringBuilder::new()];
    let mut numbers = [Int64Builder::new(), Int64Builder::new(), Int64Builder::new()];
    let statistics = StructBuilder::new(
        statistics_fields(),
        vec![
            Box::new(Int32Builder::new()),
            Box::new(StringBuilder::new()),
            Box::new(StringBuilder::new()),
            Box::new(Int64Builder::new()),
        ],
    );
    let element = Arc::new(ArrowField::new("element", DataType::Struct(statistics_fields()), false));
    let mut statistics = ListBuilder::new(statistics).with_field(element);
    for object in &manifest.objects {
        let status = if object.added_version == manifest.version { ADDED } else { EXISTING };
        for (builder, text) in texts.iter_mut().zip([object.key.as_str(), &object.etag, status]) {
            builder.append_value(text);
        }
        for (builder, number) in numbers.iter_mut().zip([object.rows, object.bytes, object.added_version]) {
            builder.append_value(number.cast_signed());
        }
        append_statistics(&mut statistics, &object.statistics);
    }
    for key in &manifest.removed_keys {
        for (builder, text) in texts.iter_mut().zip([key.as_str(), "", REMOVED]) {
            builder.append_value(text);
        }
        for builder in &mut numbers {
            builder.append_value(0);
        }
        append_statistics(&mut statistics, &[]);
    }
    let [mut key, mut etag, mut status] = texts;
    let [mut rows, mut bytes, mut added_version] = numbers;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("key", Arc::new(key.finish())),
        ("rows", Arc::new(rows.finish())),
        ("bytes", Arc::new(bytes.finish())),
        ("etag", Arc::new(etag.finish())),
        ("added_version", Arc::new(added_version.finish())),
        ("status", Arc::new(status.finish())),
        ("columns", Arc::new(statistics.finish())),
    ];
    let fields: Vec<ArrowField> =
        columns.iter().map(|(name, array)| ArrowField::new(*name, array.data_type().clone(), false)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn append_statistics(list: &mut ListBuilder<StructBuilder>, statistics: &[ColumnStatistics]) {
    for known in statistics {
        let line = list.values();
        if let Some(builder) = line.field_builder::<Int32Builder>(0) {
            builder.append_value(known.field_id);
        }
        if let Some(builder) = line.field_builder::<StringBuilder>(1) {
            builder.append_option(known.min.as_deref());
        }
        if let Some(builder) = line.field_builder::<StringBuilder>(2) {
            builder.append_option(known.max.as_deref());
        }
        if let Some(builder) = line.field_builder::<Int64Builder>(3) {
            builder.append_option(known.nulls.map(u64::cast_signed));
        }
        line.append(true);
    }
    list.append(true);
}

/// Reads a manifest and checks it against itself. Keep it off async workers.
///
/// # Errors
/// One sentence: not a manifest, torn, or of a later format than this program knows.
pub(crate) fn decode(file: Bytes) -> Result<Manifest, String> {
    // The reader panics where damaged metadata sends it before the file's start. Nothing of it is used after that.
    catch_unwind(|| read(file)).unwrap_or_else(|_| Err("its Parquet metadata is damaged".into()))
}

fn read(file: Bytes) -> Result<Manifest, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let metadata = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let value = |key: &str| {
        let found = metadata.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.as_deref());
        found.ok_or_else(|| format!("it has no {key}"))
    };
    let format = value(FORMAT_KEY)?;
    if format.parse::<u32>() != Ok(FORMAT_VERSION) {
        return Err(format!("its format version is {format}, this program reads {FORMAT_VERSION}"));
    }
    let header: Header = serde_json::from_str(value(HEADER_KEY)?).map_err(|error| error.to_string())?;
    let expected = (header.rows, header.bytes, header.objects, header.removed);
    let mut manifest = header.into_manifest()?;
    for batch in reader.with_batch_size(LINES_PER_BATCH).build().map_err(|error| error.to_string())? {
        read_lines(&batch.map_err(|error| error.to_string())?, &mut manifest)?;
    }
    let size = manifest.size();
    if (size.rows, size.bytes, size.objects, manifest.removed_keys.len() as u64) != expected {
        return Err("its lines are not those that its header counts".into());
    }
    Ok(manifest)
}

fn read_lines(batch: &RecordBatch, manifest: &mut Manifest) -> Result<(), String> {
    let text = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.ok_or_else(|| format!("it has no texts {name}"))
    };
    let number = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.ok_or_else(|| format!("it has no numbers {name}"))
    };
    let (key, etag, status) = (text("key")?, text("etag")?, text("status")?);
    let (rows, bytes, added_version) = (number("rows")?, number("bytes")?, number("added_version")?);
    let statistics = batch.column_by_name("columns").and_then(|column| column.as_list_opt::<i32>());
    let statistics = statistics.ok_or("it has no list columns")?;
    for line in 0..batch.num_rows() {
        match status.value(line) {
            REMOVED => manifest.removed_keys.push(key.value(line).to_owned()),
            EXISTING | ADDED => manifest.objects.push(Arc::new(Object {
                key: key.value(line).to_owned(),
                rows: rows.value(line).cast_unsigned(),
                bytes: bytes.value(line).cast_unsigned(),
                etag: etag.value(line).to_owned(),
                added_version: added_version.value(line).cast_unsigned(),
                statistics: read_statistics(&statistics.value(line))?,
            })),
            other => return Err(format!("an object of it is {other:?}")),
        }
    }
    Ok(())
}

fn read_statistics(list: &ArrayRef) -> Result<Vec<ColumnStatistics>, String> {
    let wrong = || "its column statistics have another form".to_owned();
    let list = list.as_struct_opt().ok_or_else(wrong)?;
    let column = |name| list.column_by_name(name).ok_or_else(wrong);
    let ids = column("field_id")?.as_primitive_opt::<Int32Type>().ok_or_else(wrong)?;
    let nulls = column("nulls")?.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
    let min = column("min")?.as_string_opt::<i32>().ok_or_else(wrong)?;
    let max = column("max")?.as_string_opt::<i32>().ok_or_else(wrong)?;
    let bound = |bounds: &arrow_array::StringArray, at| bounds.is_valid(at).then(|| bounds.value(at).to_owned());
    let line = |at| ColumnStatistics {
        field_id: ids.value(at),
        min: bound(min, at),
        max: bound(max, at),
        nulls: nulls.is_valid(at).then(|| nulls.value(at).cast_unsigned()),
    };
    Ok((0..list.len()).map(line).collect())
}

#[cfg(test)]
mod tests;
