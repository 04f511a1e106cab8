//! What a Parquet object says of itself in its footer.

mod bounds;
mod geo;
mod text;

use parquet::basic::Repetition;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::Type as Node;

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
    let geometries = geo::columns(&metadata);
    let mut columns = Vec::new();
    let mut statistics = Vec::new();
    let mut leaf = 0;
    for node in schema.root_schema().get_fields() {
        let kind = column_type(node)?;
        let kind = geo::geometry(geometries.get(node.name()), &kind).unwrap_or(kind);
        let nullable = node.is_optional();
        let plain = node.is_primitive() && !is_repeated(node);
        statistics.push(if plain { bounds::of_column(&metadata, leaf, &kind) } else { ColumnStatistics::default() });
        leaf += leaves(node);
        columns.push(Column { name: node.name().to_owned(), type_text: kind.to_string(), nullable });
    }
    let rows = u64::try_from(metadata.file_metadata().num_rows()).map_err(|_| "it has less than no rows")?;
    Ok(Facts { columns, rows, statistics })
}

/// A file that was cut and ends in another's footer points behind its own end.
fn within(metadata: &ParquetMetaData, data_bytes: u64) -> Result<(), String> {
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset()).min(column.data_page_offset());
        let span = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
        if span.and_then(|(start, length)| start.checked_add(length)).is_none_or(|end| end > data_bytes) {
            return Err(format!("the column {:?} lies outside of the file", column.column_path().string()));
        }
    }
    Ok(())
}

fn is_repeated(node: &Node) -> bool {
    let info = node.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

fn leaves(node: &Node) -> usize {
    if node.is_primitive() { 1 } else { node.get_fields().iter().map(|child| leaves(child)).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("tests/fixtures/{name}")).unwrap()
    }

    fn facts(file: &[u8]) -> Result<Facts, String> {
        parse(file, file.len() as u64)
    }

    /// Files that DuckDB 1.5.5 and pyarrow wrote, with what DuckDB 1.5.5 says of them.
    #[test]
    fn types_are_written_as_duckdb_describes_them() {
        for (file, described) in [
            ("types/duckdb.parquet", include_str!("../tests/fixtures/types/duckdb.txt")),
            ("types/pyarrow.parquet", include_str!("../tests/fixtures/types/pyarrow.txt")),
            ("types/int96.parquet", include_str!("../tests/fixtures/types/int96.txt")),
            ("types/geometry.parquet", include_str!("../tests/fixtures/types/geometry.txt")),
        ] {
            let columns = facts(&fixture(file)).unwrap().columns;
            let mine: Vec<String> = columns.iter().map(|c| format!("{}\t{}", c.name, c.type_text)).collect();
            assert_eq!(mine, described.lines().collect::<Vec<_>>(), "{file}");
        }
    }

    /// Files of DuckDB and pyarrow, with what DuckDB 1.5.5 answers for min, max and NULLs.
    #[test]
    fn bounds_are_those_that_duckdb_finds() {
        for (file, expected) in [
            ("statistics/duckdb.parquet", include_str!("../tests/fixtures/statistics/duckdb.txt")),
            ("statistics/pyarrow.parquet", include_str!("../tests/fixtures/statistics/pyarrow.txt")),
        ] {
            let facts = facts(&fixture(file)).unwrap();
            let line = |(column, known): (&Column, &ColumnStatistics)| {
                let shown = |bound: &Option<String>| bound.clone().unwrap_or("-".into());
                let nulls = known.nulls.map_or("-".into(), |nulls| nulls.to_string());
                format!("{}\t{}\t{}\t{nulls}", column.name, shown(&known.min), shown(&known.max))
            };
            let found: Vec<String> = facts.columns.iter().zip(&facts.statistics).map(line).collect();
            assert_eq!(found, expected.lines().collect::<Vec<_>>(), "{file}");
        }
    }

    #[test]
    fn the_tail_alone_is_enough() {
        let file = fixture("types/duckdb.parquet");
        let whole = facts(&file).unwrap();
        assert_eq!(whole.rows, 1);
        let footer_bytes = usize::try_from(length(&file, file.len() as u64).unwrap()).unwrap();
        assert_eq!(parse(&file[file.len() - footer_bytes..], file.len() as u64), Ok(whole));
        assert!(parse(&file[file.len() - footer_bytes + 1..], file.len() as u64).is_err());
    }

    #[test]
    fn what_is_not_parquet_is_refused_with_words() {
        let file = fixture("types/duckdb.parquet");
        assert_eq!(facts(b"id,name\n1,a\n2,b\n").unwrap_err(), "it does not end as Parquet does");
        assert_eq!(facts(b"PAR1").unwrap_err(), "it is too short");
        assert!(facts(&file[..file.len() - 1]).is_err());
        let mut encrypted = file.clone();
        encrypted.splice(file.len() - 4.., *b"PARE");
        assert_eq!(facts(&encrypted).unwrap_err(), "its footer is encrypted");
        assert_eq!(length(b"\xff\xff\xff\xffPAR1", 1_000).unwrap_err(), "its footer is longer than itself");
        // The data is cut off in front, the footer whole.
        let cut = &file[200..];
        assert!(facts(cut).unwrap_err().contains("outside of the file"));
    }

    /// Every bit of the footers, one at a time.
    #[test]
    fn a_damaged_footer_is_read_or_refused() {
        for name in ["types/duckdb.parquet", "types/pyarrow.parquet", "types/geometry.parquet"] {
            let file = fixture(name);
            let footer_bytes = length(&file, file.len() as u64).unwrap() as usize;
            for bit in (file.len() - footer_bytes) * 8..file.len() * 8 {
                let mut damaged = file.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let _any_answer_will_do = facts(&damaged);
            }
        }
    }
}
