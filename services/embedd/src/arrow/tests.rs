use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray};
use arrow_ipc::writer::StreamWriter;
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::provider::Input;

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn of(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    stream(&[RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()])
}

fn parse(bytes: Vec<u8>) -> Result<Vec<String>, String> {
    let config = Config { texts_max: 20, body_bytes_max: 1_000, ..Config::default() };
    let inputs = read(Bytes::from(bytes), &config).map_err(|error| error.to_string())?;
    let text = |input| if let Input::Text(text) = input { text } else { panic!("no text") };
    Ok(inputs.into_iter().map(text).collect())
}

fn texts() -> ArrayRef {
    Arc::new(StringArray::from(vec!["a", "", "é\0"]))
}

#[test]
fn texts_come_in_each_of_their_types_and_in_several_batches() {
    for column in [
        texts(),
        Arc::new(LargeStringArray::from(vec!["a", "", "é\0"])),
        Arc::new(StringViewArray::from(vec!["a", "", "é\0"])),
    ] {
        assert_eq!(parse(of(vec![("text", column)])).unwrap(), ["a", "", "é\0"]);
    }
    let batch = RecordBatch::try_from_iter([("text", texts())]).unwrap();
    assert_eq!(parse(stream(&[batch.clone(), batch])).unwrap().len(), 6);
}

#[test]
fn what_is_wrong_is_named() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let holes: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(600), "y".repeat(600)]));
    let many: ArrayRef = Arc::new(StringArray::from(vec!["x"; 21]));
    let whole = of(vec![("text", texts())]);
    for (bytes, told) in [
        (of(vec![("text", numbers)]), "the column must be text, not Int64"),
        (of(vec![("texts", texts())]), "the column must be called text, not \"texts\""),
        (of(vec![("text", texts()), ("id", texts())]), "there must be one column, text"),
        (of(vec![("text", holes)]), "text[1]: null"),
        (of(vec![("text", long)]), "bytes of text: 1200 exceed 1000 (body_bytes_max)"),
        (of(vec![("text", many)]), "texts: 21 exceed 20 (texts_max)"),
        (Vec::new(), "not an Arrow IPC stream: it is empty"),
        (b"{\"texts\":[]}".to_vec(), "not an Arrow IPC stream"),
        (whole[..whole.len() / 2].to_vec(), "not an Arrow IPC stream"),
    ] {
        let refused = parse(bytes).unwrap_err();
        assert!(refused.starts_with(told), "{told}: {refused}");
    }
}

proptest! {
    /// Whatever bytes come: an answer or an error, never a panic, and nothing allocated on their word.
    #[test]
    fn hostile_streams_are_refused_or_read(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let views: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "a text that does not fit into a view", "c"]));
        for column in [texts(), views] {
            let mut bytes = of(vec![("text", column)]);
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
}
