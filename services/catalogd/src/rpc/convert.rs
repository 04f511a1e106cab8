//! Between the messages of `proto` and the domain.

use kit::Problem;
use proto::internal::v1 as inside;
use proto::v1 as wire;
use tonic::Status;

use crate::Error;
use crate::catalog::{Registration, Resolution, Resolved, Told};
use crate::manifest::{ColumnStatistics, Manifest, Object, Op, Receipt};
use crate::name::DatasetName;
use crate::schema::{Column, Field};

pub(super) fn status(error: Error) -> Status {
    Problem::from(error).into()
}

pub(super) fn limit(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

pub(super) fn op(raw: i32) -> Result<Option<Op>, Error> {
    match wire::Op::try_from(raw) {
        Ok(wire::Op::Unspecified) => Ok(None),
        Ok(wire::Op::Create) => Ok(Some(Op::Create)),
        Ok(wire::Op::Append) => Ok(Some(Op::Append)),
        Ok(wire::Op::Replace) => Ok(Some(Op::Replace)),
        Ok(wire::Op::Delete) => Ok(Some(Op::Delete)),
        Err(_) => Err(Error::Invalid(format!("op: there is no {raw}"))),
    }
}

fn op_of(op: Op) -> i32 {
    match op {
        Op::Create => wire::Op::Create.into(),
        Op::Append => wire::Op::Append.into(),
        Op::Replace => wire::Op::Replace.into(),
        Op::Delete => wire::Op::Delete.into(),
    }
}

impl TryFrom<wire::RegisterRequest> for Registration {
    type Error = Error;

    fn try_from(request: wire::RegisterRequest) -> Result<Self, Error> {
        let wire::RegisterRequest { name, op: raw, fingerprint, keys, request_id } = request;
        Ok(Registration { name: DatasetName::parse(&name)?, op: op(raw)?, fingerprint, keys, request_id })
    }
}

impl TryFrom<inside::CommitRequest> for Registration {
    type Error = Error;

    fn try_from(request: inside::CommitRequest) -> Result<Self, Error> {
        let inside::CommitRequest { name, op: raw, keys, request_id } = request;
        let name = DatasetName::parse(&name)?;
        Ok(Registration { name, op: op(raw)?, fingerprint: String::new(), keys, request_id })
    }
}

pub(super) fn registered(name: &DatasetName, receipt: Receipt) -> wire::RegisterResponse {
    wire::RegisterResponse {
        dataset_id: name.id().to_string(),
        name: name.to_string(),
        version: receipt.version,
        fingerprint: receipt.fingerprint,
        existing: receipt.existing,
        rows: receipt.total.rows,
        objects: receipt.total.objects,
        bytes: receipt.total.bytes,
        rows_added: receipt.added.rows,
        bytes_added: receipt.added.bytes,
        objects_added: receipt.added.objects,
    }
}

pub(super) fn column(field: wire::Field) -> Column {
    Column { name: field.name, type_text: field.r#type, nullable: field.nullable }
}

pub(super) fn field(field: &Field) -> wire::Field {
    let Column { name, type_text, nullable } = field.column.clone();
    wire::Field { id: field.id, name, r#type: type_text, nullable }
}

/// One version of a dataset, whole.
pub(super) fn manifest(manifest: &Manifest) -> wire::Manifest {
    let objects = manifest
        .objects
        .iter()
        .map(|one| wire::Object { columns: one.statistics.iter().cloned().map(statistics).collect(), ..object(one) });
    wire::Manifest { objects: objects.collect(), ..outline(manifest) }
}

/// Without column statistics, which are most of its bytes: what Watch and Resolve send. Readers of
/// an object find them in its footer; planners ask Get.
fn outline(manifest: &Manifest) -> wire::Manifest {
    wire::Manifest {
        name: manifest.name.to_string(),
        dataset_id: manifest.name.id().to_string(),
        version: manifest.version,
        parent_version: manifest.parent_version,
        op: op_of(manifest.op),
        fingerprint: manifest.fingerprint.clone(),
        schema_id: manifest.schema_id,
        last_field_id: manifest.last_field_id,
        fields: manifest.fields.iter().map(field).collect(),
        objects: manifest.objects.iter().map(|one| object(one)).collect(),
        removed_keys: manifest.removed_keys.clone(),
        created_ms: manifest.created_ms,
        request_id: manifest.request_id().to_owned(),
    }
}

fn object(object: &Object) -> wire::Object {
    wire::Object {
        key: object.key.clone(),
        rows: object.rows,
        bytes: object.bytes,
        etag: object.etag.clone(),
        added_version: object.added_version,
        columns: Vec::new(),
    }
}

fn statistics(known: ColumnStatistics) -> wire::ColumnStatistics {
    let ColumnStatistics { field_id, min, max, nulls } = known;
    wire::ColumnStatistics { field_id, min, max, nulls }
}

pub(super) fn dataset_summary(manifest: &Manifest) -> wire::DatasetSummary {
    let size = manifest.size();
    wire::DatasetSummary {
        name: manifest.name.to_string(),
        dataset_id: manifest.name.id().to_string(),
        version: manifest.version,
        fingerprint: manifest.fingerprint.clone(),
        rows: size.rows,
        bytes: size.bytes,
        objects: size.objects,
        created_ms: manifest.created_ms,
    }
}

pub(super) fn version_summary(manifest: &Manifest) -> wire::VersionSummary {
    let size = manifest.size();
    wire::VersionSummary {
        version: manifest.version,
        op: op_of(manifest.op),
        parent_version: manifest.parent_version,
        rows: size.rows,
        bytes: size.bytes,
        objects: size.objects,
        created_ms: manifest.created_ms,
        request_id: manifest.request_id().to_owned(),
    }
}

pub(super) fn resolved(resolved: Resolved) -> inside::Resolved {
    use inside::resolved::Outcome;
    let outcome = match resolved.resolution {
        Resolution::Unchanged(version) => Outcome::Unchanged(version),
        Resolution::Changed(found) => Outcome::Manifest(outline(&found)),
        Resolution::NotFound(why) => Outcome::NotFound(why),
    };
    inside::Resolved { name: resolved.name, outcome: Some(outcome) }
}

pub(super) fn watch_event(told: Told, epoch: &str) -> wire::WatchEvent {
    use wire::watch_event::Change;
    let (sequence, change) = match told {
        Told::Reset => (0, Change::Reset(true)),
        Told::Standing(standing) => (0, Change::Dataset(outline(&standing))),
        Told::Synced(sequence) => (sequence, Change::Synced(true)),
        Told::Changed(event) => match event.manifest {
            Some(changed) => (event.sequence, Change::Dataset(outline(&changed))),
            None => (event.sequence, Change::Dropped(event.name.to_string())),
        },
    };
    wire::WatchEvent { sequence, epoch: epoch.to_owned(), change: Some(change) }
}
