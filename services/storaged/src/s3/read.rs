//! Reading objects.

use std::time::SystemTime;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream as SdkStream, DateTime};
use futures::{StreamExt, stream};

use super::S3;
use super::failure::failure;
use crate::etag::ETag;
use crate::key::ObjectKey;
use crate::range::ByteRange;
use crate::store::{ByteStream, Object, ObjectBody, ObjectMeta, Read, Selection};
use crate::{Error, content_type};

const ACTION: &str = "read an object";
/// An object may be replaced between the look and the read, but hardly so often.
const RACES_MAX: usize = 8;

impl S3 {
    pub(super) async fn look(&self, key: &ObjectKey) -> Result<ObjectMeta, Error> {
        let looked = self.client.head_object().bucket(&self.bucket).key(key.as_str()).send().await;
        let looked = looked.map_err(|error| failure("look at an object", key.as_str(), error))?;
        let HeadObjectOutput { content_length, e_tag, last_modified, content_type, .. } = looked;
        let bytes = content_length.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
        Ok(meta(key, bytes, e_tag.as_deref(), last_modified, content_type))
    }

    pub(super) async fn read(&self, key: &ObjectKey, read: &Read) -> Result<Object, Error> {
        if !read.is_conditional() {
            return match self.fetch(key, read.range, None).await? {
                Fetched::Object(object) => Ok(*object),
                Fetched::Outside => self.read_outside(key, read.range).await,
                Fetched::Changed => Err(Error::Conflict { key: key.to_string() }),
            };
        }
        for _ in 0..RACES_MAX {
            let meta = self.look(key).await?;
            let range = match read.select(&meta)? {
                Selection::NotModified => {
                    return Ok(Object { meta, selection: Selection::NotModified, body: ObjectBody::empty() });
                }
                Selection::Whole => None,
                Selection::Part(range) => Some(ByteRange::From { first: range.start, last: Some(range.end - 1) }),
            };
            // What was looked at is what is read.
            if let Fetched::Object(object) = self.fetch(key, range, Some(&meta.etag)).await? {
                return Ok(*object);
            }
        }
        Err(Error::Conflict { key: key.to_string() })
    }

    /// After a 416, which some (rclone) also answer to a suffix longer than the object.
    async fn read_outside(&self, key: &ObjectKey, range: Option<ByteRange>) -> Result<Object, Error> {
        let meta = self.look(key).await?;
        let Some(range) = range.and_then(|range| range.resolve(meta.bytes)) else {
            return Err(Error::RangeOutside { bytes: meta.bytes });
        };
        let range = ByteRange::From { first: range.start, last: Some(range.end - 1) };
        match self.fetch(key, Some(range), Some(&meta.etag)).await? {
            Fetched::Object(object) => Ok(*object),
            Fetched::Outside | Fetched::Changed => Err(Error::Conflict { key: key.to_string() }),
        }
    }

    async fn fetch(&self, key: &ObjectKey, range: Option<ByteRange>, etag: Option<&ETag>) -> Result<Fetched, Error> {
        let fetching = self.client.get_object().bucket(&self.bucket).key(key.as_str());
        let fetching = fetching.set_range(range.map(ByteRange::to_header));
        match fetching.set_if_match(etag.map(ETag::to_string)).send().await {
            Ok(got) => Ok(Fetched::Object(Box::new(object(key, got)))),
            Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 416) => {
                Ok(Fetched::Outside)
            }
            Err(error) => match failure(ACTION, key.as_str(), error) {
                Error::ConditionFailed { .. } => Ok(Fetched::Changed),
                error => Err(error),
            },
        }
    }
}

enum Fetched {
    Object(Box<Object>),
    /// 416
    Outside,
    /// It is no longer the one that was asked for.
    Changed,
}

fn object(key: &ObjectKey, got: GetObjectOutput) -> Object {
    let GetObjectOutput { body, content_length, content_range, e_tag, last_modified, content_type, .. } = got;
    let sent = content_length.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
    let part = content_range.as_deref().and_then(part);
    let (bytes, selection) = match part {
        Some((first, total)) => (total, Selection::Part(first..first + sent)),
        None => (sent, Selection::Whole),
    };
    let meta = meta(key, bytes, e_tag.as_deref(), last_modified, content_type);
    Object { meta, selection, body: ObjectBody::Stream(chunks(body)) }
}

/// `bytes first-last/total` → first and total.
fn part(content_range: &str) -> Option<(u64, u64)> {
    let (range, total) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()?))
}

fn chunks(body: SdkStream) -> ByteStream {
    let next = |body: Option<SdkStream>| async {
        let mut body = body?;
        match body.try_next().await {
            Ok(chunk) => Some((Ok(chunk?), Some(body))),
            Err(error) => Some((Err(Error::RemoteAway { action: ACTION, source: error.into() }), None)),
        }
    };
    stream::unfold(Some(body), next).boxed()
}

fn meta(
    key: &ObjectKey,
    bytes: u64,
    etag: Option<&str>,
    modified: Option<DateTime>,
    content_type: Option<String>,
) -> ObjectMeta {
    ObjectMeta {
        key: key.clone(),
        bytes,
        etag: ETag::from_backend(etag.unwrap_or_default()),
        modified: time(modified.as_ref()),
        content_type: content_type.unwrap_or_else(|| content_type::of_key(key).to_owned()),
    }
}

pub(super) fn time(time: Option<&DateTime>) -> SystemTime {
    time.and_then(|time| SystemTime::try_from(*time).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(part("bytes 2-5/10"), Some((2, 10)));
        for none in ["bytes */10", "bytes 2-5/*", "2-5/10", ""] {
            assert_eq!(part(none), None, "{none}");
        }
    }
}
