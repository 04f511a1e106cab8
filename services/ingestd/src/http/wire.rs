//! The answer's JSON.

use serde::Serialize;
use utoipa::ToSchema;

use crate::ingest;

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ingested {
    dataset_id: String,
    name: String,
    version: u64,
    /// Written by this request.
    rows: u64,
    /// Of Parquet, written by this request.
    bytes: u64,
    /// Written by this request.
    objects: u64,
    schema: Vec<Column>,
    /// With `on_error=skip`: malformed rows left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    /// With `on_error=skip`: the first 20 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<SkippedRow>>,
}

/// A column as it is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Column {
    name: String,
    /// As DuckDB writes it.
    #[serde(rename = "type")]
    kind: String,
}

/// A malformed row that was left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SkippedRow {
    /// Of the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    reason: String,
}

impl From<ingest::Ingested> for Ingested {
    fn from(done: ingest::Ingested) -> Self {
        let skipped_row = |reject: &crate::reject::Reject| SkippedRow {
            line: reject.line,
            column: reject.column.clone(),
            value: reject.value.clone(),
            reason: reject.reason.clone(),
        };
        Ingested {
            skipped: done.rejects.as_ref().map(|rejects| rejects.count),
            errors: done.rejects.as_ref().map(|rejects| rejects.shown.iter().map(skipped_row).collect()),
            dataset_id: done.dataset_id,
            name: done.name,
            version: done.version,
            rows: done.rows,
            bytes: done.bytes,
            objects: done.objects,
            schema: done.schema.into_iter().map(|(name, kind)| Column { name, kind }).collect(),
        }
    }
}
