//! Items as they travel: JSON, Arrow, gRPC, and Chroma's JSON. Made before the clock starts.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use proto::v1::{AddRequest, NewItem, Vector};
use serde_json::json;

use crate::vectors::Set;

/// The metadata of a row, as JSON; none at all for `None`.
pub(crate) type Metadata<'a> = &'a dyn Fn(usize) -> Option<String>;

/// What an item is called.
pub(crate) fn id(row: usize) -> String {
    format!("item-{row:07}")
}

/// The row of an item.
pub(crate) fn row(id: &str) -> Option<u32> {
    id.strip_prefix("item-")?.parse().ok()
}

/// `{"items":[…]}` of vectord.
pub(crate) fn json(set: &Set, rows: &[usize], metadata: Metadata<'_>) -> Result<Bytes> {
    let mut body = String::from(r#"{"items":["#);
    for (at, row) in rows.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(body, r#"{comma}{{"id":"{}","vector":{}"#, id(*row), numbers(set.item(*row))?)?;
        if let Some(metadata) = metadata(*row) {
            write!(body, r#","metadata":{metadata}"#)?;
        }
        body.push('}');
    }
    body.push_str("]}");
    Ok(body.into())
}

/// An Arrow IPC stream of one record batch.
pub(crate) fn arrow(set: &Set, rows: &[usize], metadata: Metadata<'_>) -> Result<Bytes> {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let floats: Float32Array = rows.iter().flat_map(|row| set.item(*row).iter().copied()).collect::<Vec<f32>>().into();
    let vectors = FixedSizeListArray::try_new(item, i32::try_from(set.dimension)?, Arc::new(floats), None)?;
    let ids: StringArray = rows.iter().map(|row| Some(id(*row))).collect();
    let texts: StringArray = rows.iter().map(|row| metadata(*row)).collect();
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("vector", vectors_type(&vectors), false),
        Field::new("metadata", DataType::Utf8, true),
    ]));
    let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(vectors), Arc::new(texts)];
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?.into())
}

fn vectors_type(vectors: &FixedSizeListArray) -> DataType {
    use arrow_array::Array as _;
    vectors.data_type().clone()
}

/// A message of gRPC.
pub(crate) fn grpc(set: &Set, index: &str, rows: &[usize], metadata: Metadata<'_>) -> AddRequest {
    let items = rows.iter().map(|row| NewItem {
        id: id(*row),
        vector: Some(Vector { components: set.item(*row).to_vec() }),
        metadata_json: metadata(*row),
        text: None,
    });
    AddRequest { index: index.to_owned(), items: items.collect() }
}

/// What Chroma takes: columns of ids and of vectors, these as its own client sends them, base64 of their
/// little-endian f32.
pub(crate) fn chroma(set: &Set, rows: &[usize]) -> Bytes {
    let ids: Vec<String> = rows.iter().map(|row| id(*row)).collect();
    let bytes = |row: &usize| set.item(*row).iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let vectors: Vec<String> = rows.iter().map(|row| BASE64_STANDARD.encode(bytes(row))).collect();
    json!({ "ids": ids, "embeddings": vectors }).to_string().into()
}

/// A JSON array, each number as short as it can be without loss.
pub(crate) fn numbers(vector: &[f32]) -> Result<String> {
    Ok(serde_json::to_string(vector)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array as _;
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Float32Type;
    use arrow_ipc::reader::StreamReader;
    use serde_json::Value;

    const ROWS: [usize; 2] = [2, 0];

    fn set() -> Set {
        Set::of(2, vec![1.0, 0.0, 0.8, 0.6, 0.1, -1.0])
    }

    fn metadata(row: usize) -> Option<String> {
        (row == 2).then(|| r#"{"a":1}"#.to_owned())
    }

    #[test]
    fn a_row_has_its_own_id_again() {
        assert_eq!(row(&id(1_234_567)), Some(1_234_567));
        assert_eq!((row("item-x"), row("0000001")), (None, None));
    }

    #[test]
    fn json_leaves_out_what_is_not_there() {
        let body: Value = serde_json::from_slice(&json(&set(), &ROWS, &metadata).unwrap()).unwrap();
        let first = json!({ "id": "item-0000002", "vector": [0.1, -1.0], "metadata": { "a": 1 } });
        assert_eq!(body, json!({ "items": [first, { "id": "item-0000000", "vector": [1.0, 0.0] }] }));
    }

    #[test]
    fn arrow_has_the_same_items() {
        let body = arrow(&set(), &ROWS, &metadata).unwrap();
        let batches: Vec<_> = StreamReader::try_new(body.as_ref(), None).unwrap().map(|batch| batch.unwrap()).collect();
        let [batch] = batches.as_slice() else { panic!("one batch") };
        let column = |name: &str| batch.column_by_name(name).unwrap();
        assert_eq!(column("id").as_string::<i32>().value(1), "item-0000000");
        let vector = column("vector").as_fixed_size_list().value(0);
        assert_eq!(vector.as_primitive::<Float32Type>().values().as_ref(), [0.1, -1.0]);
        assert!(column("metadata").is_valid(0) && column("metadata").is_null(1));
    }

    #[test]
    fn chroma_gets_columns_of_base64() {
        let body: Value = serde_json::from_slice(&chroma(&set(), &ROWS)).unwrap();
        assert_eq!(body["ids"], json!(["item-0000002", "item-0000000"]));
        let bytes = BASE64_STANDARD.decode(body["embeddings"][1].as_str().unwrap()).unwrap();
        assert_eq!(bytes, [1.0_f32.to_le_bytes(), 0.0_f32.to_le_bytes()].concat());
    }
}
