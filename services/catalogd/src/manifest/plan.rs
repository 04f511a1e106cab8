//! How one version follows from another: the rules, without I/O.

use std::collections::HashSet;
use std::sync::Arc;

use super::{ColumnStatistics, Manifest, Object, Op, RECEIPTS_MAX, Receipt, Size};
use crate::Error;
use crate::name::DatasetName;
use crate::schema::{self, Column, Field};

/// An object as it was found, not part of a dataset yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewObject {
    pub(crate) key: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) etag: String,
    /// In the order of the columns; their ids are not known yet.
    pub(crate) statistics: Vec<ColumnStatistics>,
}

/// A change that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) op: Option<Op>,
    pub(crate) columns: Vec<Column>,
    pub(crate) objects: Vec<NewObject>,
    pub(crate) request_id: String,
}

/// What a change comes to, given what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) op: Op,
    pub(crate) fields: Arc<[Field]>,
    pub(crate) last_field_id: i32,
    pub(crate) schema_id: u32,
    pub(crate) fingerprint: String,
}

/// The operation meant, where none is named: create what is not there, else append.
///
/// # Errors
/// A create of what is there; an append to what is not. A replace of what is not there creates it.
fn settle_op(name: &DatasetName, previous: Option<&Manifest>, op: Option<Op>) -> Result<Op, Error> {
    let live = previous.is_some_and(Manifest::is_live);
    match (op, live) {
        (None | Some(Op::Create | Op::Replace), false) => Ok(Op::Create),
        (Some(Op::Append | Op::Delete), false) => Err(Error::NotFound { name: name.clone() }),
        (Some(Op::Create), true) => Err(Error::AlreadyExists { name: name.clone() }),
        (None, true) => Ok(Op::Append),
        (Some(op @ (Op::Append | Op::Replace | Op::Delete)), true) => Ok(op),
    }
}

/// Whether `columns` may be written with `op`, and with which field ids.
///
/// # Errors
/// See [`settle_op`]; 409 where a dataset that is there has another schema.
pub(crate) fn outline(
    name: &DatasetName,
    previous: Option<&Manifest>,
    op: Option<Op>,
    columns: &[Column],
) -> Result<Outline, Error> {
    let op = settle_op(name, previous, op)?;
    let fingerprint = schema::fingerprint(columns);
    let Some(previous) = previous else {
        return Ok(numbered(op, columns, fingerprint, 0, 1));
    };
    if previous.fingerprint == fingerprint {
        return Ok(Outline {
            op,
            fields: widened(&previous.fields, columns),
            last_field_id: previous.last_field_id,
            schema_id: previous.schema_id,
            fingerprint,
        });
    }
    if previous.is_live() {
        return Err(Error::SchemaConflict {
            name: name.clone(),
            differences: schema::differences(previous.fields.iter().map(|f| &f.column), columns),
            stored: previous.fingerprint.clone(),
            given: fingerprint,
        });
    }
    // After a delete everything may be new, but no id is given twice.
    Ok(numbered(op, columns, fingerprint, previous.last_field_id, previous.schema_id + 1))
}

fn numbered(op: Op, columns: &[Column], fingerprint: String, last_field_id: i32, schema_id: u32) -> Outline {
    let fields: Arc<[Field]> =
        (last_field_id + 1..).zip(columns).map(|(id, column)| Field { id, column: column.clone() }).collect();
    let last_field_id = fields.last().map_or(last_field_id, |field| field.id);
    Outline { op, fields, last_field_id, schema_id, fingerprint }
}

/// The same fields; one that any object may leave empty is nullable.
fn widened(fields: &Arc<[Field]>, columns: &[Column]) -> Arc<[Field]> {
    let widens = |(field, column): (&Field, &Column)| column.nullable && !field.column.nullable;
    if !fields.iter().zip(columns).any(widens) {
        return fields.clone();
    }
    let mut fields = fields.to_vec();
    for (field, column) in fields.iter_mut().zip(columns) {
        field.column.nullable |= column.nullable;
    }
    fields.into()
}

/// The version that follows `previous` by `change`.
///
/// # Errors
/// See [`outline`]; 413 where the version would have more objects than `objects_max`; 400 for a
/// key that is there already.
pub(crate) fn follow(
    name: &DatasetName,
    previous: Option<&Manifest>,
    change: &Change,
    objects_max: usize,
    now_ms: i64,
) -> Result<Manifest, Error> {
    let outline = outline(name, previous, change.op, &change.columns)?;
    let version = previous.map_or(0, |p| p.version) + 1;
    let stood: &[Arc<Object>] = previous.filter(|p| p.is_live()).map_or(&[], |p| &p.objects);
    let (kept, removed_keys) = match outline.op {
        Op::Append => (stood, Vec::new()),
        Op::Create | Op::Replace | Op::Delete => (&[][..], stood.iter().map(|o| o.key.clone()).collect()),
    };
    let mut keys: HashSet<&str> = stood.iter().map(|object| object.key.as_str()).collect();
    if let Some(twice) = change.objects.iter().find(|object| !keys.insert(&object.key)) {
        return Err(Error::Invalid(format!("the object {:?} is part of {name} already", twice.key)));
    }
    let added: Vec<Arc<Object>> =
        change.objects.iter().map(|object| Arc::new(taken(object, version, &outline.fields))).collect();
    let objects: Vec<Arc<Object>> = kept.iter().chain(&added).cloned().collect();
    if objects.len() > objects_max {
        let (count, limit) = (objects.len() as u64, objects_max as u64);
        return Err(Error::TooMany { what: "objects", count, limit, config_key: "objects_per_dataset_max" });
    }
    let receipt = Receipt {
        request_id: change.request_id.clone(),
        op: outline.op,
        version,
        fingerprint: outline.fingerprint.clone(),
        existing: previous.is_some_and(Manifest::is_live),
        total: Size::of(&objects),
        added: Size::of(&added),
    };
    Ok(Manifest {
        name: name.clone(),
        version,
        parent_version: version - 1,
        born_version: previous.filter(|p| p.is_live()).map_or(version, |p| p.born_version),
        op: outline.op,
        fingerprint: outline.fingerprint,
        schema_id: outline.schema_id,
        last_field_id: outline.last_field_id,
        fields: outline.fields,
        objects,
        removed_keys,
        created_ms: now_ms,
        receipts: with_receipt(previous, receipt),
    })
}

fn taken(object: &NewObject, version: u64, fields: &[Field]) -> Object {
    let numbered = fields.iter().zip(&object.statistics);
    let statistics = numbered.map(|(field, known)| ColumnStatistics { field_id: field.id, ..known.clone() });
    Object {
        key: object.key.clone(),
        rows: object.rows,
        bytes: object.bytes,
        etag: object.etag.clone(),
        added_version: version,
        statistics: statistics.collect(),
    }
}

/// The version that says that the dataset is no more. The schema stays in it: numbers go on.
///
/// # Errors
/// 404 where there is nothing to delete.
pub(crate) fn tombstone(previous: &Manifest, request_id: &str, now_ms: i64) -> Result<Manifest, Error> {
    settle_op(&previous.name, Some(previous), Some(Op::Delete))?;
    let version = previous.version + 1;
    let receipt = Receipt {
        request_id: request_id.to_owned(),
        op: Op::Delete,
        version,
        fingerprint: previous.fingerprint.clone(),
        existing: true,
        total: Size::default(),
        added: Size::default(),
    };
    Ok(Manifest {
        version,
        parent_version: previous.version,
        op: Op::Delete,
        objects: Vec::new(),
        removed_keys: previous.objects.iter().map(|object| object.key.clone()).collect(),
        created_ms: now_ms,
        receipts: with_receipt(Some(previous), receipt),
        ..previous.clone()
    })
}

fn with_receipt(previous: Option<&Manifest>, receipt: Receipt) -> Vec<Receipt> {
    let earlier: &[Receipt] = previous.map_or(&[], |p| &p.receipts);
    let from = earlier.len().saturating_sub(RECEIPTS_MAX - 1);
    earlier[from..].iter().cloned().chain([receipt]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> DatasetName {
        DatasetName::parse("workers").unwrap()
    }

    fn column(name: &str, nullable: bool) -> Column {
        Column { name: name.into(), type_text: "BIGINT".into(), nullable }
    }

    fn change(op: Option<Op>, columns: &[Column], keys: &[&str], request_id: &str) -> Change {
        let object = |key: &&str| NewObject {
            key: (*key).to_owned(),
            rows: 2,
            bytes: 10,
            etag: "e".into(),
            statistics: vec![ColumnStatistics { min: Some("1".into()), ..ColumnStatistics::default() }],
        };
        let objects = keys.iter().map(object).collect();
        Change { op, columns: columns.to_vec(), objects, request_id: request_id.into() }
    }

    fn next(previous: Option<&Manifest>, change: &Change) -> Result<Manifest, Error> {
        follow(&name(), previous, change, 5, 7)
    }

    #[test]
    fn an_op_left_out_creates_then_appends() {
        let schema = [column("a", false)];
        let first = next(None, &change(None, &schema, &["k1"], "r1")).unwrap();
        assert_eq!((first.version, first.parent_version, first.op, first.born_version), (1, 0, Op::Create, 1));
        assert!(!first.receipts[0].existing);
        let second = next(Some(&first), &change(None, &[column("a", true)], &["k2"], "r2")).unwrap();
        assert_eq!((second.version, second.op, second.size().rows), (2, Op::Append, 4));
        assert!(second.fields[0].column.nullable, "one object may be without it");
        assert_eq!(second.objects[1].added_version, 2);
        assert_eq!(second.objects[1].statistics[0].field_id, 1);
        assert!(Arc::ptr_eq(&first.objects[0], &second.objects[0]), "objects are shared between versions");
        let replaced = next(Some(&second), &change(Some(Op::Replace), &schema, &["k3"], "r3")).unwrap();
        assert_eq!((replaced.removed_keys.len(), replaced.size().objects, replaced.born_version), (2, 1, 1));
    }

    #[test]
    fn what_does_not_go_with_what_is_there_is_refused() {
        let schema = [column("a", false)];
        let first = next(None, &change(None, &schema, &["k1"], "r1")).unwrap();
        let refused = |previous, op, schema: &[Column]| next(previous, &change(op, schema, &["k2"], "r2")).unwrap_err();
        assert!(matches!(refused(Some(&first), Some(Op::Create), &schema), Error::AlreadyExists { .. }));
        assert!(matches!(refused(None, Some(Op::Append), &schema), Error::NotFound { .. }));
        for op in [None, Some(Op::Append), Some(Op::Replace)] {
            let Error::SchemaConflict { stored, given, differences, .. } =
                refused(Some(&first), op, &[column("b", true)])
            else {
                panic!("another schema is a conflict")
            };
            assert_ne!(stored, given);
            assert_eq!(differences.len(), 2);
        }
        let again = change(None, &schema, &["k1"], "r2");
        assert!(matches!(next(Some(&first), &again), Err(Error::Invalid(_))));
        let many = change(None, &schema, &["a", "b", "c", "d", "e"], "r2");
        assert!(matches!(next(Some(&first), &many), Err(Error::TooMany { count: 6, limit: 5, .. })));
    }

    #[test]
    fn numbers_go_on_after_a_delete() {
        let first = next(None, &change(None, &[column("a", false)], &["k1"], "r1")).unwrap();
        let gone = tombstone(&first, "r2", 8).unwrap();
        assert_eq!((gone.version, gone.is_live(), gone.removed_keys.len()), (2, false, 1));
        assert!(matches!(tombstone(&gone, "r3", 9), Err(Error::NotFound { .. })));
        let other = next(Some(&gone), &change(None, &[column("b", true)], &["k2"], "r4")).unwrap();
        assert_eq!((other.version, other.fields[0].id, other.schema_id, other.born_version), (3, 2, 2, 3));
        assert!(!other.receipts[2].existing);
        let same = next(Some(&gone), &change(None, &[column("a", false)], &["k2"], "r4")).unwrap();
        assert_eq!((same.fields[0].id, same.schema_id), (1, 1), "the same schema is the same schema");
    }

    #[test]
    fn the_last_receipts_are_remembered() {
        let schema = [column("a", false)];
        let mut manifest = next(None, &change(None, &schema, &["k"], "r0")).unwrap();
        for n in 1..=RECEIPTS_MAX {
            manifest =
                next(Some(&manifest), &change(Some(Op::Replace), &schema, &[&format!("k{n}")], &format!("r{n}")))
                    .unwrap();
        }
        assert!(manifest.receipt("r0").is_none());
        assert_eq!(manifest.receipt("r1").map(|receipt| receipt.version), Some(2));
        assert_eq!(manifest.receipts.len(), RECEIPTS_MAX);
    }
}
