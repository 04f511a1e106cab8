//! What a Parquet object says of itself in its footer.

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::column_type::column_type;
use crate::manifest::ColumnStatistics;
use crate::schema::Column;

/// Length and magic bytes at the end of every Parquet file.
const TAIL_BYTES: usize = 8;
const MAGIC: &[u8; 4] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8; 4] = b"PARE";

/// An object as its footer tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: u64,
    /// In the order of the columns, without ids.
    pub(crate) statistics: Vec<ColumnStatistics>,
}

/// How many bytes at the end of a file its footer takes, told by the file's last bytes.
///
/// # Errors
/// One sentence: not a Parquet file, or one whose footer is encrypted.
pub(crate) fn length(tail: &[u8], file_bytes: u64) -> Result<u64, String> {
    let (Some((_, tail)), true) = (tail.split_last_chunk::<TAIL_BYTES>(), file_bytes > 12) else {
        return Err("it is too short".into());
    };
    let [a, b, c, d, magic @ ..] = tail;
    if magic == MAGIC_ENCRYPTED {
        return Err("its footer is encrypted".into());
    }
    if magic != MAGIC {
        return Err("it does not end as Parquet does".into());
    }
    let bytes = u64::from(u32::from_le_bytes([*a, *b, *c, *d])) + TAIL_BYTES as u64;
    if bytes > file_bytes { Err("its footer is longer than itself".into()) } else { Ok(bytes) }
}

/// Reads a footer of which `tail` ends with at least [`length`] bytes. Keep it off async workers.
///
/// # Errors
/// One sentence on what is wrong with it.
pub(crate) fn parse(tail: &[u8], file_bytes: u64) -> Result<Facts, String> {
    let footer_bytes = usize::try_from(length(tail, file_bytes)?).map_err(|error| error.to_string())?;
    let start = tail.len().checked_sub(footer_bytes).ok_or("its footer is not all there")?;
    let thrift = &tail[start..tail.len() - TAIL_BYTES];
    let metadata = ParquetMetaDataReader::decode_metadata(thrift).map_err(|error| error.to_string())?;
    within(&metadata, file_bytes - footer_bytes as u64)?;
    let schema = metadata.file_metadata().schema_descr();
    let mut columns = Vec::new();
    let mut statistics = Vec::new();
    for node in schema.root_schema().get_fields() {
        let kind = column_type(node)?;
        let nullable = node.is_optional();
        statistics.push(ColumnStatistics::default());
        columns.push(Column { name: node.name().to_owned(), type_text: kind.to_string(), nullable });
    }
    let rows = u64::try_from(metadata.file_metadata().num_rows()).map_err(|_| "it has less than no rows")?;
    Ok(Facts { columns, rows, statistics })
}

/// A file that was cut and ends in another's footer points behind its own end.
fn within(metadata: &ParquetMetaData, data_bytes: u64) -> Result<(), String> {
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset()).min(column.data_page_offset());
        let end = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
        if !end.and_then(|(start, length)| start.checked_add(length)).is_some_and(|end| end <= data_bytes) {
            return Err(format!("the column {:?} lies outside of the file", column.column_path().string()));
        }
    }
    Ok(())
}
