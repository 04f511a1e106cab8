//! What a manifest file says of the version as a whole: JSON in the file's key-value metadata.
//!
//! **Fixed** for format version 1: fields may only be added with a new format version.

use serde::{Deserialize, Serialize};

use super::{Manifest, Op, Receipt, Size};
use crate::name::DatasetName;
use crate::schema::{Column, Field};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    name: String,
    dataset_id: String,
    version: u64,
    parent_version: u64,
    born_version: u64,
    op: String,
    fingerprint: String,
    schema_id: u32,
    last_field_id: i32,
    fields: Vec<FieldLine>,
    created_ms: i64,
    /// The last changes, this one at the end.
    receipts: Vec<ReceiptLine>,
    /// Of the version, as a check on the lines.
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) objects: u64,
    pub(super) removed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldLine {
    id: i32,
    name: String,
    #[serde(rename = "type")]
    type_text: String,
    nullable: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptLine {
    request_id: String,
    op: String,
    version: u64,
    fingerprint: String,
    existing: bool,
    rows: u64,
    bytes: u64,
    objects: u64,
    rows_added: u64,
    bytes_added: u64,
    objects_added: u64,
}

impl From<&Manifest> for Header {
    fn from(manifest: &Manifest) -> Self {
        let Size { rows, bytes, objects } = manifest.size();
        Header {
            name: manifest.name.to_string(),
            dataset_id: manifest.name.id().to_string(),
            version: manifest.version,
            parent_version: manifest.parent_version,
            born_version: manifest.born_version,
            op: manifest.op.as_str().into(),
            fingerprint: manifest.fingerprint.clone(),
            schema_id: manifest.schema_id,
            last_field_id: manifest.last_field_id,
            fields: manifest.fields.iter().map(FieldLine::from).collect(),
            created_ms: manifest.created_ms,
            receipts: manifest.receipts.iter().map(ReceiptLine::from).collect(),
            rows,
            bytes,
            objects,
            removed: manifest.removed_keys.len() as u64,
        }
    }
}

impl Header {
    /// Without its objects, which lie in the lines.
    pub(super) fn into_manifest(self) -> Result<Manifest, String> {
        let name = DatasetName::parse(&self.name).map_err(|error| error.to_string())?;
        if name.id().to_string() != self.dataset_id {
            return Err(format!("{name} does not have the id {}", self.dataset_id));
        }
        if self.version != self.parent_version + 1 || self.born_version > self.version || self.version == 0 {
            return Err(format!("the version {} does not follow {}", self.version, self.parent_version));
        }
        Ok(Manifest {
            name,
            version: self.version,
            parent_version: self.parent_version,
            born_version: self.born_version,
            op: op(&self.op)?,
            fingerprint: self.fingerprint,
            schema_id: self.schema_id,
            last_field_id: self.last_field_id,
            fields: self.fields.into_iter().map(Field::from).collect(),
            objects: Vec::new(),
            removed_keys: Vec::new(),
            created_ms: self.created_ms,
            receipts: self.receipts.into_iter().map(Receipt::try_from).collect::<Result<_, _>>()?,
        })
    }
}

fn op(text: &str) -> Result<Op, String> {
    Op::parse(text).ok_or_else(|| format!("{text:?} is no op"))
}

impl From<&Field> for FieldLine {
    fn from(field: &Field) -> Self {
        let Column { name, type_text, nullable } = field.column.clone();
        FieldLine { id: field.id, name, type_text, nullable }
    }
}

impl From<FieldLine> for Field {
    fn from(line: FieldLine) -> Self {
        let FieldLine { id, name, type_text, nullable } = line;
        Field { id, column: Column { name, type_text, nullable } }
    }
}

impl From<&Receipt> for ReceiptLine {
    fn from(receipt: &Receipt) -> Self {
        ReceiptLine {
            request_id: receipt.request_id.clone(),
            op: receipt.op.as_str().into(),
            version: receipt.version,
            fingerprint: receipt.fingerprint.clone(),
            existing: receipt.existing,
            rows: receipt.total.rows,
            bytes: receipt.total.bytes,
            objects: receipt.total.objects,
            rows_added: receipt.added.rows,
            bytes_added: receipt.added.bytes,
            objects_added: receipt.added.objects,
        }
    }
}

impl TryFrom<ReceiptLine> for Receipt {
    type Error = String;

    fn try_from(line: ReceiptLine) -> Result<Self, String> {
        Ok(Receipt {
            op: op(&line.op)?,
            request_id: line.request_id,
            version: line.version,
            fingerprint: line.fingerprint,
            existing: line.existing,
            total: Size { rows: line.rows, bytes: line.bytes, objects: line.objects },
            added: Size { rows: line.rows_added, bytes: line.bytes_added, objects: line.objects_added },
        })
    }
}
