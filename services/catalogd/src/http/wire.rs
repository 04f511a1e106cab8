//! The JSON of `/v1/catalog`, **fixed** where DESIGN.md says so.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Error;
use crate::catalog::{Page, Registration};
use crate::manifest::{ColumnStatistics, Manifest, Object, Op, Receipt};
use crate::name::DatasetName;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WriteOp {
    Create,
    Append,
    Replace,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectKey {
    /// As in `/v1/storage/{key}`.
    key: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    name: String,
    /// Left out: create where the dataset is not there, else append.
    op: Option<WriteOp>,
    /// Of the schema: SHA-256 over its ordered (name, type) pairs. Left out: whatever it is.
    fingerprint: Option<String>,
    objects: Vec<ObjectKey>,
    /// The same id again answers the same version and adds nothing.
    request_id: Option<String>,
}

impl TryFrom<Register> for Registration {
    type Error = Error;

    fn try_from(body: Register) -> Result<Self, Error> {
        Ok(Registration {
            name: DatasetName::parse(&body.name)?,
            op: body.op.map(|op| match op {
                WriteOp::Create => Op::Create,
                WriteOp::Append => Op::Append,
                WriteOp::Replace => Op::Replace,
            }),
            fingerprint: body.fingerprint.unwrap_or_default(),
            keys: body.objects.into_iter().map(|object| object.key).collect(),
            request_id: body.request_id.unwrap_or_default(),
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Registered {
    dataset_id: String,
    name: String,
    version: u64,
    fingerprint: String,
    /// Whether the dataset was there before.
    pub(super) existing: bool,
    /// Of the whole version.
    rows: u64,
    objects: u64,
}

impl Registered {
    pub(super) fn new(name: &DatasetName, receipt: Receipt) -> Self {
        Registered {
            dataset_id: name.id().to_string(),
            name: name.to_string(),
            version: receipt.version,
            fingerprint: receipt.fingerprint,
            existing: receipt.existing,
            rows: receipt.total.rows,
            objects: receipt.total.objects,
        }
    }
}

fn rfc3339(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    humantime_serde::re::humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Entries at most.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl PageQuery {
    /// 0: the default.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(0)
    }

    pub(super) fn cursor(&self) -> &str {
        self.cursor.as_deref().unwrap_or_default()
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionQuery {
    /// Left out: the newest.
    pub(super) version: Option<u64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// The same id again is answered the same.
    pub(super) request_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Datasets {
    datasets: Vec<DatasetSummary>,
    /// `null` on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DatasetSummary {
    name: String,
    dataset_id: String,
    version: u64,
    fingerprint: String,
    rows: u64,
    bytes: u64,
    objects: u64,
    /// RFC 3339, in UTC.
    created: String,
}

impl From<Page<Arc<Manifest>>> for Datasets {
    fn from(page: Page<Arc<Manifest>>) -> Self {
        let datasets = page.items.iter().map(|manifest| {
            let size = manifest.size();
            DatasetSummary {
                name: manifest.name.to_string(),
                dataset_id: manifest.name.id().to_string(),
                version: manifest.version,
                fingerprint: manifest.fingerprint.clone(),
                rows: size.rows,
                bytes: size.bytes,
                objects: size.objects,
                created: rfc3339(manifest.created_ms),
            }
        });
        Datasets { datasets: datasets.collect(), next_cursor: page.next_cursor }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Versions {
    versions: Vec<VersionSummary>,
    /// `null` on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct VersionSummary {
    version: u64,
    op: &'static str,
    parent_version: u64,
    rows: u64,
    bytes: u64,
    objects: u64,
    /// RFC 3339, in UTC.
    created: String,
    request_id: String,
}

impl From<Page<Arc<Manifest>>> for Versions {
    fn from(page: Page<Arc<Manifest>>) -> Self {
        let versions = page.items.iter().map(|manifest| {
            let size = manifest.size();
            VersionSummary {
                version: manifest.version,
                op: manifest.op.as_str(),
                parent_version: manifest.parent_version,
                rows: size.rows,
                bytes: size.bytes,
                objects: size.objects,
                created: rfc3339(manifest.created_ms),
                request_id: manifest.request_id().to_owned(),
            }
        });
        Versions { versions: versions.collect(), next_cursor: page.next_cursor }
    }
}

/// One version of a dataset, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Dataset {
    dataset_id: String,
    name: String,
    version: u64,
    /// 0 where there is none.
    parent_version: u64,
    op: &'static str,
    fingerprint: String,
    schema_id: u32,
    schema: Vec<ColumnLine>,
    rows: u64,
    bytes: u64,
    objects: Vec<ObjectLine>,
    removed_keys: Vec<String>,
    /// RFC 3339, in UTC.
    created: String,
    request_id: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct ColumnLine {
    name: String,
    /// As DuckDB writes it.
    r#type: String,
    nullable: bool,
    field_id: i32,
}

#[derive(Debug, Serialize, ToSchema)]
struct ObjectLine {
    key: String,
    rows: u64,
    bytes: u64,
    etag: String,
    added_version: u64,
    columns: Vec<StatisticsLine>,
}

/// No value lies outside of `min` and `max`; what is not known is left out.
#[derive(Debug, Serialize, ToSchema)]
struct StatisticsLine {
    field_id: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nulls: Option<u64>,
}

impl From<&Manifest> for Dataset {
    fn from(manifest: &Manifest) -> Self {
        let size = manifest.size();
        let column = |field: &crate::schema::Field| ColumnLine {
            name: field.column.name.clone(),
            r#type: field.column.type_text.clone(),
            nullable: field.column.nullable,
            field_id: field.id,
        };
        Dataset {
            dataset_id: manifest.name.id().to_string(),
            name: manifest.name.to_string(),
            version: manifest.version,
            parent_version: manifest.parent_version,
            op: manifest.op.as_str(),
            fingerprint: manifest.fingerprint.clone(),
            schema_id: manifest.schema_id,
            schema: manifest.fields.iter().map(column).collect(),
            rows: size.rows,
            bytes: size.bytes,
            objects: manifest.objects.iter().map(|object| ObjectLine::from(&**object)).collect(),
            removed_keys: manifest.removed_keys.clone(),
            created: rfc3339(manifest.created_ms),
            request_id: manifest.request_id().to_owned(),
        }
    }
}

impl From<&Object> for ObjectLine {
    fn from(object: &Object) -> Self {
        let line = |known: &ColumnStatistics| {
            let ColumnStatistics { field_id, min, max, nulls } = known.clone();
            StatisticsLine { field_id, min, max, nulls }
        };
        ObjectLine {
            key: object.key.clone(),
            rows: object.rows,
            bytes: object.bytes,
            etag: object.etag.clone(),
            added_version: object.added_version,
            columns: object.statistics.iter().map(line).collect(),
        }
    }
}
