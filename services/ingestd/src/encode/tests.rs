use std::sync::{Arc, Mutex};

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Float64Array, Int64Array};
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::ColumnOrder;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::*;
use crate::field::with_ids;

#[derive(Default)]
struct Memory(Arc<Mutex<Vec<Vec<u8>>>>);

struct InMemory {
    bytes: Vec<u8>,
    to: Arc<Mutex<Vec<Vec<u8>>>>,
    fails: bool,
}

impl Objects for Memory {
    type Object = InMemory;

    fn begin(&self) -> Result<InMemory> {
        Ok(InMemory { bytes: Vec::new(), to: self.0.clone(), fails: false })
    }
}

impl Write for InMemory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.fails {
            return Err(std::io::Error::other("full"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Object for InMemory {
    fn finish(self) -> Result<()> {
        self.to.lock().unwrap().push(self.bytes);
        Ok(())
    }

    fn failure(&mut self) -> Option<Error> {
        self.fails.then_some(Error::SpoolFull)
    }
}

struct Broken;

impl Objects for Broken {
    type Object = InMemory;

    fn begin(&self) -> Result<InMemory> {
        Ok(InMemory { bytes: Vec::new(), to: Arc::default(), fails: true })
    }
}

struct Batches {
    schema: SchemaRef,
    batches: std::vec::IntoIter<RecordBatch>,
    fails_at_end: bool,
}

impl Source for Batches {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn next_batch(&mut self) -> std::result::Result<Option<RecordBatch>, Failure> {
        match self.batches.next() {
            None if self.fails_at_end => Err(Failure::Final(Error::invalid("row"))),
            batch => Ok(batch),
        }
    }
}

fn rows(counts: &[usize]) -> Batches {
    let lists = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let fields = vec![Field::new("id", DataType::Int64, true), Field::new("tags", lists, true)];
    let schema = Arc::new(Schema::new(fields));
    let batch = |&count: &usize| {
        let mut tags = ListBuilder::new(StringBuilder::new());
        for row in 0..count {
            tags.append_value([Some(format!("tag {row}")), None]);
        }
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from_iter_values(0..count as i64)), Arc::new(tags.finish())];
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    };
    let batches: Vec<_> = counts.iter().map(batch).collect();
    Batches { schema: schema.clone(), batches: batches.into_iter(), fails_at_end: false }
}

fn layout(config: &Config, source: &Batches) -> Layout {
    Layout::new(with_ids(&source.schema, &[1, 2]).unwrap(), config).unwrap()
}

fn footer(object: &[u8]) -> ParquetMetaData {
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    reader.parse_and_finish(&Bytes::copy_from_slice(object)).unwrap()
}

#[test]
fn an_object_has_field_ids_zstd_and_page_indexes() {
    let config = Config { row_group_rows: 1_000, encode_threads: 2, ..Config::default() };
    let (memory, mut source) = (Memory::default(), rows(&[700, 0, 700, 1_300]));
    let written = encode(&mut source, &layout(&config, &rows(&[])), &memory).unwrap();
    let objects = memory.0.lock().unwrap();
    assert_eq!(written, Written { rows: 2_700, bytes: objects[0].len() as u64, objects: 1 });

    let footer = footer(&objects[0]);
    let groups: Vec<_> = footer.row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [1_000, 1_000, 700], "batches do not decide where a row group ends");
    for group in footer.row_groups() {
        for chunk in group.columns() {
            assert!(matches!(chunk.compression(), Compression::ZSTD(_)));
            assert!(chunk.column_index_range().is_some() && chunk.offset_index_range().is_some());
            assert!(chunk.statistics().is_some_and(|s| s.min_bytes_opt().is_some() && s.null_count_opt().is_some()));
            assert!(chunk.bloom_filter_offset().is_none());
        }
    }
    let schema = footer.file_metadata().schema_descr();
    let mut ids = Vec::new();
    collect_ids(schema.root_schema(), &mut ids);
    assert_eq!(ids[..2], [("id".to_owned(), Some(1)), ("tags".to_owned(), Some(2))]);
    assert!(matches!(&ids[3..], [(name, Some(id))] if name == "element" && *id > 1 << 24), "{ids:?}");
    assert!(footer.file_metadata().key_value_metadata().is_none(), "no embedded Arrow schema");
}

#[test]
fn pages_end_where_a_vector_does_whatever_the_batches() {
    let config = Config { row_group_rows: 3 * PAGE_ROWS + 7, encode_threads: 2, ..Config::default() };
    let (memory, mut source) = (Memory::default(), rows(&[1_371; 60]));
    encode(&mut source, &layout(&config, &rows(&[])), &memory).unwrap();
    let footer = footer(&memory.0.lock().unwrap()[0]);
    let starts = |group| {
        let index = footer.page_index_for_row_group(group);
        index.page_locations(0).unwrap().iter().map(|page| page.first_row_index).collect::<Vec<_>>()
    };
    let page = PAGE_ROWS as i64;
    assert_eq!(starts(0), [0, page, 2 * page, 3 * page]);
    assert_eq!(starts(1), [0, page]);
}

fn floats(groups: [[Vec<f64>; 2]; 2]) -> Batches {
    let batch = |columns: [Vec<f64>; 2]| {
        let [a, b] = columns.map(|values| Arc::new(Float64Array::from(values)) as ArrayRef);
        RecordBatch::try_from_iter_with_nullable([("a", a, true), ("b", b, true)]).unwrap()
    };
    let batches = groups.map(batch).to_vec();
    Batches { schema: batches[0].schema(), batches: batches.into_iter(), fails_at_end: false }
}

/// To some readers, DuckDB among them, NaN is the greatest number: bounds without it are not true to them.
#[test]
fn chunks_with_nan_have_no_bounds_and_others_keep_theirs() {
    let config = Config { row_group_rows: 2, encode_threads: 2, ..Config::default() };
    let groups = || [[vec![1.5, 2.5], vec![-0.5, 0.5]], [vec![3.5, 4.5], vec![f64::NAN, 7.5]]];
    let memory = Memory::default();
    encode(&mut floats(groups()), &layout(&config, &floats(groups())), &memory).unwrap();
    let object = Bytes::copy_from_slice(&memory.0.lock().unwrap()[0]);
    let footer = ParquetMetaDataReader::new().parse_and_finish(&object).unwrap();
    let bounds = |group: usize, column: usize| {
        let chunk = footer.row_group(group).column(column);
        let statistics = chunk.statistics().unwrap();
        assert_eq!(statistics.null_count_opt(), Some(0), "what is true of the rest is still told");
        assert!(chunk.offset_index_range().is_some());
        let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
        let both = statistics.min_bytes_opt().map(number).zip(statistics.max_bytes_opt().map(number));
        assert_eq!(both.is_some(), chunk.column_index_range().is_some(), "{group} {column}");
        both
    };
    let found = [bounds(0, 0), bounds(0, 1), bounds(1, 0), bounds(1, 1)];
    assert_eq!(found, [Some((1.5, 2.5)), Some((-0.5, 0.5)), Some((3.5, 4.5)), None]);
    let orders = footer.file_metadata().column_orders().unwrap();
    assert!(orders.iter().all(|order| matches!(order, ColumnOrder::TYPE_DEFINED_ORDER(_))), "{orders:?}");
}

fn collect_ids(node: &parquet::schema::types::Type, ids: &mut Vec<(String, Option<i32>)>) {
    for field in node.get_fields() {
        let info = field.get_basic_info();
        ids.push((info.name().to_owned(), info.has_id().then(|| info.id())));
        if field.is_group() {
            collect_ids(field, ids);
        }
    }
}

#[test]
fn rows_keep_their_order_over_row_groups_and_objects() {
    let config = Config { row_group_rows: 100, object_bytes_target: 1, encode_threads: 2, ..Config::default() };
    let (memory, mut source) = (Memory::default(), rows(&[250]));
    let written = encode(&mut source, &layout(&config, &rows(&[])), &memory).unwrap();
    assert_eq!((written.rows, written.objects), (250, 3));
    let mut ids = Vec::new();
    for object in memory.0.lock().unwrap().iter() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(object)).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            ids.extend(column.values().iter().copied());
        }
    }
    assert_eq!(ids, (0..250).collect::<Vec<_>>());
}

#[test]
fn no_rows_are_one_object_with_a_schema() {
    let (memory, mut source) = (Memory::default(), rows(&[0]));
    let written = encode(&mut source, &layout(&Config::default(), &rows(&[])), &memory).unwrap();
    assert_eq!((written.rows, written.objects), (0, 1));
    let footer = footer(&memory.0.lock().unwrap()[0]);
    assert_eq!((footer.num_row_groups(), footer.file_metadata().schema_descr().num_columns()), (0, 2));
}

#[test]
fn a_failure_on_either_side_is_told_as_it_was_and_finishes_nothing() {
    let config = Config { row_group_rows: 10, ..Config::default() };
    let memory = Memory::default();
    let mut source = Batches { fails_at_end: true, ..rows(&[100]) };
    let failed = encode(&mut source, &layout(&config, &rows(&[])), &memory).unwrap_err();
    assert!(matches!(failed, Failure::Final(Error::Invalid(_))), "{failed:?}");
    assert!(memory.0.lock().unwrap().is_empty());

    let failed = encode(&mut rows(&[100; 100]), &layout(&config, &rows(&[])), &Broken).unwrap_err();
    assert!(matches!(failed, Failure::Final(Error::SpoolFull)), "{failed:?}");
}
