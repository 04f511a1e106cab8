//! Between messages and the domain.

use std::time::SystemTime;

use proto::v1 as wire;

use crate::etag::{Condition, Tags};
use crate::range::ByteRange;
use crate::space::{ListOrder, PutOrder};
use crate::store::{ObjectMeta, Page, Read, Stored};
use crate::{Error, content_type};

impl TryFrom<wire::PutStart> for PutOrder {
    type Error = Error;

    fn try_from(start: wire::PutStart) -> Result<Self, Error> {
        let condition = start.condition.unwrap_or_default();
        Ok(PutOrder {
            key: start.key,
            bytes: start.bytes,
            content_type: content_type::stated(Some(&start.content_type)),
            condition: Condition::parse(Some(&condition.if_none_match), Some(&condition.if_match))?,
        })
    }
}

pub(super) fn put_response(key: String, stored: &Stored) -> wire::PutResponse {
    wire::PutResponse { key, bytes: stored.bytes, etag: stored.etag.to_string() }
}

pub(super) fn read(request: &wire::GetRequest) -> Result<Read, Error> {
    let range = match (request.offset, request.length, request.suffix) {
        (0, 0, 0) => None,
        (0, 0, suffix) => Some(ByteRange::Suffix(suffix)),
        (first, 0, 0) => Some(ByteRange::From { first, last: None }),
        (first, length, 0) => Some(ByteRange::From { first, last: Some(first.saturating_add(length - 1)) }),
        _ => return Err(Error::InvalidArgument { reason: "suffix goes without offset and length".into() }),
    };
    let if_match = match request.if_match.as_str() {
        "" => None,
        tags => Some(Tags::parse(tags)?),
    };
    Ok(Read { range, if_match, ..Read::default() })
}

impl From<ObjectMeta> for wire::ObjectInfo {
    fn from(meta: ObjectMeta) -> Self {
        let since = meta.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        wire::ObjectInfo {
            key: meta.key.to_string(),
            bytes: meta.bytes,
            etag: meta.etag.to_string(),
            modified_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            content_type: meta.content_type,
        }
    }
}

impl From<wire::ListRequest> for ListOrder {
    fn from(request: wire::ListRequest) -> Self {
        let wire::ListRequest { prefix, delimiter, limit, cursor } = request;
        ListOrder {
            prefix,
            delimiter,
            limit: (limit > 0).then_some(limit as usize),
            cursor: (!cursor.is_empty()).then_some(cursor),
        }
    }
}

impl From<Page> for wire::ListResponse {
    fn from(page: Page) -> Self {
        wire::ListResponse {
            objects: page.objects.into_iter().map(Into::into).collect(),
            prefixes: page.prefixes,
            next_cursor: page.next_cursor.unwrap_or_default(),
        }
    }
}
