//! One version of a dataset, as queryd needs it.

use std::sync::Arc;

use proto::v1::Manifest;

use crate::gate::is_dataset_name;

/// A column, in the dataset's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// As DuckDB writes it.
    pub logical_type: String,
    /// Whether values may be missing.
    pub nullable: bool,
}

/// One version of a dataset. It never changes.
#[derive(Debug, PartialEq, Eq)]
pub struct Dataset {
    /// `[a-z_][a-z0-9_]{0,62}`.
    pub name: String,
    /// UUIDv5 of the name.
    pub dataset_id: String,
    /// Counted from 1.
    pub version: u64,
    /// At least one.
    pub columns: Vec<Column>,
    /// Keys of the Parquet objects; none in an empty dataset.
    pub keys: Arc<[String]>,
    /// Of all objects.
    pub rows: u64,
    /// Of all objects.
    pub bytes: u64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

impl TryFrom<Manifest> for Dataset {
    /// Why the manifest cannot be used.
    type Error = String;

    fn try_from(manifest: Manifest) -> Result<Self, String> {
        if !is_dataset_name(&manifest.name) {
            return Err("its name is not one of a dataset".into());
        }
        if manifest.version == 0 {
            return Err("it has no version".into());
        }
        if manifest.fields.is_empty() {
            return Err("it has no columns".into());
        }
        let prefix = format!("datasets/{}/", manifest.dataset_id);
        if let Some(stray) = manifest.objects.iter().find(|object| !object.key.starts_with(&prefix)) {
            return Err(format!("object {:?} lies outside the dataset", stray.key));
        }
        let (mut rows, mut bytes) = (0_u64, 0_u64);
        for object in &manifest.objects {
            rows = rows.saturating_add(object.rows);
            bytes = bytes.saturating_add(object.bytes);
        }
        let columns = manifest.fields.into_iter();
        Ok(Dataset {
            columns: columns.map(|f| Column { name: f.name, logical_type: f.r#type, nullable: f.nullable }).collect(),
            keys: manifest.objects.into_iter().map(|object| object.key).collect(),
            name: manifest.name,
            dataset_id: manifest.dataset_id,
            version: manifest.version,
            rows,
            bytes,
            created_ms: manifest.created_ms,
        })
    }
}
