//! The port: what this service needs of whatever keeps the bytes.

use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::Error;
use crate::etag::{Condition, ETag, Tags};
use crate::key::{KeyPrefix, ObjectKey};
use crate::range::ByteRange;

/// Bytes on their way, in or out. Never a whole large object.
pub(crate) type ByteStream = BoxStream<'static, Result<Bytes, Error>>;

/// What is known of an object without its bytes.
#[derive(Debug, Clone)]
pub(crate) struct ObjectMeta {
    pub(crate) key: ObjectKey,
    pub(crate) bytes: u64,
    pub(crate) etag: ETag,
    pub(crate) modified: SystemTime,
    pub(crate) content_type: String,
}

/// A write.
pub(crate) struct Put {
    pub(crate) body: ByteStream,
    /// How long the body is, where that is known. The stream ends with an error where it is
    /// another length, so that an adapter need not check.
    pub(crate) bytes: Option<u64>,
    pub(crate) content_type: Option<String>,
    pub(crate) condition: Condition,
}

/// What a write made.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) bytes: u64,
    pub(crate) etag: ETag,
    /// Whether there was no such object before; `None` where the backend does not say.
    pub(crate) created: Option<bool>,
}

/// A read: which bytes, and under which conditions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Read {
    pub(crate) range: Option<ByteRange>,
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
    /// Consulted only where there is no `if_match`. Whole seconds, as HTTP writes them.
    pub(crate) if_unmodified_since: Option<SystemTime>,
    /// Consulted only where there is no `if_none_match`.
    pub(crate) if_modified_since: Option<SystemTime>,
    /// The range counts only while the object is still this one.
    pub(crate) if_range: Option<IfRange>,
}

/// The value of `If-Range`.
#[derive(Debug, Clone)]
pub(crate) enum IfRange {
    Tag(Tags),
    Date(SystemTime),
}

/// What a read yields once its conditions were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    Whole,
    Part(Range<u64>),
    NotModified,
}

impl Read {
    /// Whether anything but the range has to be looked at.
    pub(crate) fn is_conditional(&self) -> bool {
        self.if_match.is_some()
            || self.if_none_match.is_some()
            || self.if_unmodified_since.is_some()
            || self.if_modified_since.is_some()
            || (self.range.is_some() && self.if_range.is_some())
    }

    /// Evaluates the conditions in the order of RFC 9110, section 13.2.2.
    ///
    /// # Errors
    /// 412 and 416.
    pub(crate) fn select(&self, meta: &ObjectMeta) -> Result<Selection, Error> {
        let unchanged = match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) => tags.match_strongly(&meta.etag),
            (None, Some(date)) => whole_seconds(meta.modified) <= whole_seconds(date),
            (None, None) => true,
        };
        if !unchanged {
            return Err(Error::ConditionFailed { key: meta.key.to_string() });
        }
        let known = match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => tags.match_weakly(&meta.etag),
            (None, Some(date)) => whole_seconds(meta.modified) <= whole_seconds(date),
            (None, None) => false,
        };
        if known {
            return Ok(Selection::NotModified);
        }
        match self.range.filter(|_| self.range_counts(meta)) {
            None => Ok(Selection::Whole),
            Some(range) => match range.resolve(meta.bytes) {
                Some(bytes) => Ok(Selection::Part(bytes)),
                None => Err(Error::RangeOutside { bytes: meta.bytes }),
            },
        }
    }

    fn range_counts(&self, meta: &ObjectMeta) -> bool {
        match &self.if_range {
            None => true,
            Some(IfRange::Tag(tags)) => tags.match_strongly(&meta.etag),
            Some(IfRange::Date(date)) => whole_seconds(meta.modified) == whole_seconds(*date),
        }
    }
}

/// Dates in HTTP have no fractions.
fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// An object being read.
pub(crate) struct Object {
    pub(crate) meta: ObjectMeta,
    pub(crate) selection: Selection,
    pub(crate) body: ObjectBody,
}

/// The selected bytes.
pub(crate) enum ObjectBody {
    /// Few enough to have been read at once.
    Short(Bytes),
    /// Read while they are sent.
    Stream(ByteStream),
}

impl ObjectBody {
    pub(crate) fn empty() -> Self {
        ObjectBody::Short(Bytes::new())
    }
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub(crate) struct ListQuery {
    pub(crate) prefix: KeyPrefix,
    /// Whether keys with a `/` behind the prefix are rolled up to it.
    pub(crate) by_folder: bool,
    /// At most so many objects and prefixes together; at least 1.
    pub(crate) limit: usize,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// In byte order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<ObjectMeta>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) next_cursor: Option<String>,
}

/// What keeps the bytes: a directory or S3.
///
/// A write is acknowledged only once it is durable, and is seen whole or not at all. Dropping a
/// future abandons the operation and leaves nothing behind; a write whose body was complete by
/// then may still take effect.
pub(crate) trait ObjectStore: Send + Sync + 'static {
    fn put<'a>(&'a self, key: &'a ObjectKey, put: Put) -> BoxFuture<'a, Result<Stored, Error>>;
    fn get<'a>(&'a self, key: &'a ObjectKey, read: &'a Read) -> BoxFuture<'a, Result<Object, Error>>;
    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, Error>>;
    /// Nothing to delete is no error, unless the condition wants something there.
    fn delete<'a>(&'a self, key: &'a ObjectKey, condition: &'a Condition) -> BoxFuture<'a, Result<(), Error>>;
    fn list(&self, query: ListQuery) -> BoxFuture<'_, Result<Page, Error>>;
    /// Without the bytes passing through this process, where that can be had. An existing target
    /// is an error; `source_condition` must hold of the source.
    fn copy<'a>(
        &'a self,
        source: &'a ObjectKey,
        target: &'a ObjectKey,
        source_condition: &'a Condition,
    ) -> BoxFuture<'a, Result<Stored, Error>>;
    /// Where what starts with `text`, a key or a key prefix, lies.
    fn locate(&self, text: &str) -> String;
    /// Whether conditional writes are decided by the backend itself.
    fn conditional_puts(&self) -> bool;
    /// Whether it can be reached and written to; the words say what it is.
    fn check(&self) -> BoxFuture<'_, Result<String, Error>>;
}
