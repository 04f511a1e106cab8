use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use arrow_array::{
    ArrayRef, DictionaryArray, Int64Array, LargeListArray, LargeStringArray, ListArray, RecordBatch, StringArray,
    StringViewArray,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::batch::NewItem;
use crate::config::Config;
use crate::indexes::Answers;
use crate::item::Record;
use crate::store::Found;

type Row<'a> = (Option<&'a str>, Option<Vec<f32>>, Option<&'a str>);

fn vectors(rows: &[Row<'_>]) -> ArrayRef {
    let mut lists = FixedSizeListBuilder::new(Float32Builder::new(), 2);
    for (_, vector, _) in rows {
        lists.values().append_slice(vector.as_deref().unwrap_or(&[0.0, 0.0]));
        lists.append(vector.is_some());
    }
    Arc::new(lists.finish())
}

fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|row| row.0)));
    let metadata: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|row| row.2)));
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, true),
        ("vector", vectors(rows), true),
        ("metadata", metadata, true),
    ])
    .unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn parse(bytes: Vec<u8>) -> Result<Vec<NewItem>, String> {
    read(Bytes::from(bytes), &Config { items_per_batch_max: 20, ..Config::default() })
        .map_err(|error| error.to_string())
}

fn of(columns: Vec<(&str, ArrayRef)>) -> Result<Vec<NewItem>, String> {
    parse(stream(&[RecordBatch::try_from_iter(columns).unwrap()]))
}

fn three() -> [Row<'static>; 3] {
    [
        (Some("a"), Some(vec![1.0, 2.0]), Some(r#"{"x":1}"#)),
        (Some("b"), None, Some("null")),
        (Some("c"), Some(vec![3.0, 4.0]), None),
    ]
}

#[test]
fn nulls_are_left_out_and_several_batches_are_one() {
    let items = parse(stream(&[batch(&three()), batch(&[(Some("d"), Some(vec![5.0, 6.0]), None)])])).unwrap();
    let ids: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    let vectors: Vec<_> = items.iter().map(|item| item.vector.as_deref()).collect();
    assert_eq!(vectors, [Some(&[1.0, 2.0][..]), None, Some(&[3.0, 4.0]), Some(&[5.0, 6.0])]);
    let metadata: Vec<_> = items.iter().map(|item| item.metadata.as_ref().map(serde_json::Map::len)).collect();
    assert_eq!(metadata, [Some(1), Some(0), None, None]);
    assert_eq!(items_of(&batch(&three()).slice(2, 1)).unwrap()[0].vector.as_deref(), Some(&[3.0, 4.0][..]));
}

#[test]
fn a_text_stands_for_a_vector() {
    let columns = |texts: Vec<Option<&str>>| -> Vec<(&str, ArrayRef)> {
        vec![("id", Arc::new(StringArray::from(vec!["a", "b"]))), ("text", Arc::new(StringArray::from(texts)))]
    };
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns(vec![Some("welder"), None]).into_iter().map(|(name, column)| (name, column, true)),
    );
    let items = parse(stream(&[batch.unwrap()])).unwrap();
    assert_eq!((items[0].text.as_deref(), &items[0].vector), (Some("welder"), &None));
    assert_eq!(items[1].text, None);
    let long = "y".repeat(50_000);
    let rows = stream(&[RecordBatch::try_from_iter(columns(vec![Some(&long), Some(&long)])).unwrap()]);
    let config = Config { batch_bytes_max: 99_999, ..Config::default() };
    assert!(read(Bytes::from(rows), &config).unwrap_err().to_string().contains("batch_bytes_max"));
}

#[test]
fn text_and_lists_come_in_each_of_their_types() {
    let numbers = || vec![Some(vec![Some(1.0_f32), Some(2.0)]), Some(vec![Some(3.0), Some(4.0)])];
    let wide = || vec![Some(vec![Some(1.0_f64), Some(2.0)]), Some(vec![Some(3.0), Some(4.0)])];
    let texts: [ArrayRef; 3] = [
        Arc::new(StringArray::from(vec!["a", "b"])),
        Arc::new(LargeStringArray::from(vec!["a", "b"])),
        Arc::new(StringViewArray::from(vec!["a", "b"])),
    ];
    let lists: [ArrayRef; 3] = [
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(numbers())),
        Arc::new(LargeListArray::from_iter_primitive::<Float32Type, _, _>(numbers())),
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(wide())),
    ];
    for (ids, vectors) in texts.into_iter().zip(lists) {
        let items = of(vec![("vector", vectors), ("id", ids)]).unwrap();
        assert_eq!((items[1].id.as_str(), items[1].vector.as_deref()), ("b", Some(&[3.0, 4.0][..])));
    }
    let vast = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(1e39)])]));
    let items = of(vec![("id", Arc::new(StringArray::from(vec!["a"]))), ("vector", vast)]).unwrap();
    assert_eq!(items[0].vector.as_deref(), Some(&[f32::INFINITY][..]), "for the batch to refuse");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let ids = || -> ArrayRef { Arc::new(StringArray::from(vec!["a", "b"])) };
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 2])) };
    let holes = ListArray::from_iter_primitive::<Float32Type, _, _>([Some([Some(1.0)]), Some([None])]);
    let dictionary: DictionaryArray<arrow_array::types::Int32Type> = ["a", "b"].into_iter().collect();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["{}", "[]"]));
    for (columns, told) in [
        (vec![("id", ids()), ("score", numbers())], "the column \"score\" is none of id, vector, text, metadata"),
        (vec![("id", ids()), ("id", ids())], "the column id is there twice"),
        (vec![("metadata", texts.clone())], "the column id is not there"),
        (vec![("id", numbers())], "the column id must be text, not Int64"),
        (vec![("id", Arc::new(dictionary) as ArrayRef)], "the column id must be text, not Dictionary(Int32, Utf8)"),
        (
            vec![("id", ids()), ("vector", numbers())],
            "the column vector must be lists of Float32 or Float64, not Int64",
        ),
        (vec![("id", ids()), ("vector", Arc::new(holes))], "items[1].vector: component 0 is null"),
        (vec![("id", ids()), ("metadata", texts)], "items[1].metadata: not the text of a JSON object"),
    ] {
        let refused = of(columns).unwrap_err();
        assert!(refused.starts_with(told), "{told}: {refused}");
    }
    let rows = [(Some("a"), None, Some("{}")), (None, None, Some("{}"))];
    assert_eq!(parse(stream(&[batch(&rows[..1]), batch(&rows)])).unwrap_err(), "items[2].id: null");
}

#[test]
fn what_is_no_stream_or_too_much_is_refused() {
    let whole = stream(&[batch(&three())]);
    assert!(parse(Vec::new()).unwrap_err().contains("it is empty"));
    assert!(parse(b"{\"items\":[]}".to_vec()).unwrap_err().starts_with("not an Arrow IPC stream"));
    assert!(parse(whole[..whole.len() / 2].to_vec()).unwrap_err().starts_with("not an Arrow IPC stream"));
    assert!(parse([whole.clone(), whole].concat()).unwrap_err().starts_with("not an Arrow IPC stream"));
    let many: Vec<_> = (0..7).map(|_| batch(&three())).collect();
    assert_eq!(parse(stream(&many)).unwrap_err(), "items: 21 exceed 20 (items_per_batch_max)");
}

#[test]
fn the_same_text_over_and_over_is_counted_as_often() {
    let long = format!("{{\"x\":{:?}}}", "y".repeat(500));
    let rows: Vec<Row<'_>> = (0..20).map(|_| (Some("a"), None, Some(long.as_str()))).collect();
    let bytes = Bytes::from(stream(&[batch(&rows)]));
    let within = |batch_bytes_max| read(bytes.clone(), &Config { batch_bytes_max, ..Config::default() });
    assert!(within(12_000).is_ok());
    assert!(within(9_000).unwrap_err().to_string().contains("batch_bytes_max"));
}

proptest! {
    /// Whatever bytes come: an answer or an error, never a panic, and nothing allocated on their word.
    #[test]
    fn hostile_streams_are_refused_or_read(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let views: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "an id that does not fit into a view", "c"]));
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(1.0)]), None, Some([Some(2.0)])]);
        let other = RecordBatch::try_from_iter([("id", views), ("vector", Arc::new(lists) as ArrayRef)]).unwrap();
        for batch in [batch(&three()), other] {
            let mut bytes = stream(&[batch]);
            if cuts {
                bytes.truncate(cut.index(bytes.len()));
            }
            for (at, value) in &flips {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] ^= value;
                }
            }
            let _verdict = parse(bytes);
        }
    }

    #[test]
    fn any_bytes_at_all_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _verdict = parse(bytes);
    }
}

fn answers() -> Answers {
    let found = |id: &str, distance| Found {
        record: Record::from_parts(id, r#"{"role":"welder"}"#),
        distance,
        vector: Some(vec![distance, 1.0]),
    };
    let lists = vec![vec![found("a", 0.0), found("b", 0.5)], Vec::new(), vec![found("a", 0.25)]];
    Answers { lists, metric: ann::Metric::Cosine, dimension: 2 }
}

fn batches(bytes: &[u8]) -> Vec<RecordBatch> {
    StreamReader::try_new(bytes, None).unwrap().map(Result::unwrap).collect()
}

#[test]
fn an_answer_has_the_columns_that_were_asked_for() {
    let whole = write(&answers(), true, true).unwrap();
    let read = batches(&whole);
    assert_eq!(read.len(), 2, "one for each list that has results");
    let queries = |batch: &RecordBatch| batch["query"].as_primitive::<UInt32Type>().values().to_vec();
    assert_eq!((queries(&read[0]), queries(&read[1])), (vec![0, 0], vec![2]));
    assert_eq!(read[0]["id"].as_string::<i32>().value(1), "b");
    assert_eq!(read[0]["distance"].as_primitive::<Float32Type>().values(), &[0.0, 0.5]);
    assert_eq!(read[0]["score"].as_primitive::<Float32Type>().values(), &[1.0, 0.5]);
    assert_eq!(read[0]["metadata"].as_string::<i32>().value(0), r#"{"role":"welder"}"#);
    let vectors = read[0]["vector"].as_fixed_size_list();
    assert_eq!(vectors.value(1).as_primitive::<Float32Type>().values(), &[0.5, 1.0]);

    let bare = write(&answers(), false, false).unwrap();
    let names: Vec<_> = batches(&bare)[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["query", "id", "distance", "score"]);
    let none = Answers { lists: vec![Vec::new()], ..answers() };
    assert!(batches(&write(&none, true, true).unwrap()).is_empty());
}
