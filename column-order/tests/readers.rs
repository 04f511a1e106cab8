//! What this version of `parquet` writes, read by an older one.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::{ArrayRef, Float16Array, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use half::f16;
use older_parquet::basic::ColumnOrder as OlderOrder;
use older_parquet::file::reader::{FileReader, SerializedFileReader};
use older_parquet::file::statistics::Statistics;
use parquet::arrow::ArrowWriter;
use parquet::basic::ColumnOrder;
use parquet::file::metadata::ParquetMetaDataReader;

fn floats() -> ArrayRef {
    Arc::new(Float64Array::from(vec![Some(-1.5), Some(2.5), None]))
}

fn columns_of_every_kind() -> Vec<ArrayRef> {
    let mut lists = ListBuilder::new(Float64Builder::new());
    for list in [vec![Some(1.0), None], vec![], vec![Some(3.0)]] {
        lists.append_value(list);
    }
    vec![
        floats(),
        Arc::new(Float32Array::from(vec![0.5, -0.5, 0.0])),
        Arc::new(Float16Array::from_iter_values([1.0, 2.0, 3.0].map(f16::from_f32))),
        Arc::new(Int64Array::from(vec![1, 2, 3])),
        Arc::new(StringArray::from(vec!["a", "b", "c"])),
        Arc::new(lists.finish()),
    ]
}

fn written(columns: Vec<ArrayRef>) -> Vec<u8> {
    let named = columns.into_iter().enumerate().map(|(at, column)| (format!("c{at}"), column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn orders(file: &[u8]) -> Vec<ColumnOrder> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&Bytes::copy_from_slice(file)).unwrap();
    metadata.file_metadata().column_orders().unwrap().clone()
}

fn older(file: &[u8]) -> Result<SerializedFileReader<Bytes>, older_parquet::errors::ParquetError> {
    SerializedFileReader::new(Bytes::copy_from_slice(file))
}

/// 14 columns are the most that a list's first byte counts, 127 the most of one byte more.
#[test]
fn an_older_reader_takes_what_it_refused() {
    let many = |count| std::iter::repeat_with(floats).take(count).collect();
    for columns in [vec![floats()], columns_of_every_kind(), many(14), many(15), many(127), many(128), many(3_000)] {
        let count = columns.len();
        let mut file = written(columns);
        // Once this holds no more, the crate is no longer needed.
        assert!(older(&file).is_err(), "{count} columns");
        column_order::by_type(&mut file, count).unwrap();
        let orders = orders(&file);
        assert_eq!(orders.len(), count);
        assert!(orders.iter().all(|order| matches!(order, ColumnOrder::TYPE_DEFINED_ORDER(_))), "{orders:?}");

        let reader = older(&file).unwrap();
        let metadata = reader.metadata();
        let orders = metadata.file_metadata().column_orders().unwrap();
        assert!(orders.iter().all(|order| matches!(order, OlderOrder::TYPE_DEFINED_ORDER(_))), "{orders:?}");
        let Some(Statistics::Double(bounds)) = metadata.row_group(0).column(0).statistics() else { panic!() };
        assert_eq!((bounds.min_opt(), bounds.max_opt(), bounds.null_count_opt()), (Some(&-1.5), Some(&2.5), Some(1)));
        assert_eq!(reader.get_row_iter(None).unwrap().map(Result::unwrap).count(), 3);
    }
}

#[test]
fn what_is_declared_by_type_already_stays() {
    let mut file = written(vec![Arc::new(Int64Array::from(vec![1]))]);
    let before = file.clone();
    column_order::by_type(&mut file, 1).unwrap();
    assert_eq!(file, before);
}

#[test]
fn another_end_is_refused_and_left_alone() {
    let file = written(columns_of_every_kind());
    let cut = |bytes: usize| file[..file.len() - bytes].to_vec();
    let damaged = |from_end: usize| {
        let mut file = file.clone();
        let at = file.len() - from_end;
        file[at] ^= 0x40;
        file
    };
    let cases = [
        ("another count", file.clone(), 5),
        ("cut", cut(1), 6),
        ("the last bytes alone", file[file.len() - 20..].to_vec(), 6),
        ("nothing", Vec::new(), 0),
        ("no magic number", damaged(1), 6),
        ("no end of the struct", damaged(9), 6),
        ("no order", damaged(12), 6),
        ("no list", damaged(9 + 6 * 3 + 1), 6),
        ("no field", damaged(9 + 6 * 3 + 2), 6),
    ];
    for (what, mut end, columns) in cases {
        let before = end.clone();
        assert!(column_order::by_type(&mut end, columns).is_err(), "{what}");
        assert_eq!(end, before, "{what}");
    }
}
