//! One version of a dataset, whole: what it is made of and how it came to be.
//!
//! Plain values without I/O. How they lie in a file is [`codec`]'s, how one follows from another
//! [`plan`]'s.

pub(crate) mod codec;
mod header;
pub(crate) mod plan;

use std::fmt;
use std::sync::Arc;

use crate::name::DatasetName;
use crate::schema::Field;

/// Request ids that a manifest remembers, its own included.
pub(crate) const RECEIPTS_MAX: usize = 32;

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Create,
    Append,
    Replace,
    Delete,
}

impl Op {
    pub(crate) const ALL: [Op; 4] = [Op::Create, Op::Append, Op::Replace, Op::Delete];

    /// As it is stored and shown: never changes.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Op::Create => "create",
            Op::Append => "append",
            Op::Replace => "replace",
            Op::Delete => "delete",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Op::ALL.into_iter().find(|op| op.as_str() == text)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Minimum and maximum are bounds: no value lies outside, but a long text may be cut short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ColumnStatistics {
    pub(crate) field_id: i32,
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
    pub(crate) nulls: Option<u64>,
}

/// A Parquet object of a dataset. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) etag: String,
    pub(crate) added_version: u64,
    pub(crate) statistics: Vec<ColumnStatistics>,
}

/// What a change was answered: kept, so that the same request id is answered the same again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) request_id: String,
    pub(crate) op: Op,
    pub(crate) version: u64,
    pub(crate) fingerprint: String,
    /// Whether the dataset was there before.
    pub(crate) existing: bool,
    pub(crate) total: Size,
    pub(crate) added: Size,
}

/// How much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) objects: u64,
}

impl Size {
    pub(crate) fn of<'a>(objects: impl IntoIterator<Item = &'a Arc<Object>>) -> Self {
        objects.into_iter().fold(Size::default(), |sum, object| Size {
            rows: sum.rows.saturating_add(object.rows),
            bytes: sum.bytes.saturating_add(object.bytes),
            objects: sum.objects + 1,
        })
    }
}

/// One version of a dataset. Immutable and shared: what leaves the service is made anew from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) name: DatasetName,
    pub(crate) version: u64,
    /// 0 where there is none.
    pub(crate) parent_version: u64,
    /// The create that this version descends from: what lies before it was deleted.
    pub(crate) born_version: u64,
    pub(crate) op: Op,
    pub(crate) fingerprint: String,
    pub(crate) schema_id: u32,
    /// The last one given out, to any field there ever was.
    pub(crate) last_field_id: i32,
    pub(crate) fields: Arc<[Field]>,
    /// Shared between versions.
    pub(crate) objects: Vec<Arc<Object>>,
    /// Keys that the parent had and this version has not.
    pub(crate) removed_keys: Vec<String>,
    pub(crate) created_ms: i64,
    /// The last changes, this one at the end.
    pub(crate) receipts: Vec<Receipt>,
}

impl Manifest {
    /// Whether the dataset is there, and not deleted.
    pub(crate) fn is_live(&self) -> bool {
        self.op != Op::Delete
    }

    pub(crate) fn size(&self) -> Size {
        Size::of(&self.objects)
    }

    pub(crate) fn receipt(&self, request_id: &str) -> Option<&Receipt> {
        self.receipts.iter().find(|receipt| receipt.request_id == request_id)
    }

    /// The id of the request that made this version.
    pub(crate) fn request_id(&self) -> &str {
        self.receipts.last().map_or("", |receipt| &receipt.request_id)
    }

    /// About what it takes in memory, its objects counted whole.
    pub(crate) fn weight_bytes(&self) -> u64 {
        let statistics: usize = self.objects.iter().map(|object| object.statistics.len()).sum();
        (1_024 + 256 * self.objects.len() + 96 * statistics + 128 * self.fields.len()) as u64
    }
}
