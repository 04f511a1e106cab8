//! Writing objects: in one go where they are short, else in parts.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream as SdkStream;
use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::OwnedSemaphorePermit;

use super::S3;
use super::failure::failure;
use super::reservation::Reservation;
use super::upload::Upload;
use crate::etag::{Condition, ETag};
use crate::key::ObjectKey;
use crate::store::{ByteStream, Put, Stored};
use crate::{Error, content_type};

/// After a 409 ConditionalRequestConflict: another write of the key was under way.
const CONFLICT_RETRIES: usize = 4;
const CONFLICT_RETRY_AFTER: Duration = Duration::from_millis(50);

/// A piece of an object in memory, with its permit to be there.
pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) _permit: OwnedSemaphorePermit,
    is_last: bool,
}

/// A condition as the backend is to be told of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) if_none_match: Option<&'static str>,
    pub(super) if_match: Option<String>,
}

/// A body, cut into parts.
struct Parts<'a> {
    s3: &'a S3,
    body: ByteStream,
    /// The end of a chunk that was longer than its part.
    left: Bytes,
    /// Of the whole body, where it is known.
    bytes: Option<u64>,
}

impl Parts<'_> {
    async fn next(&mut self) -> Result<Part, Error> {
        let lost =
            |error: tokio::sync::AcquireError| Error::RemoteAway { action: "send an object", source: error.into() };
        let permit = self.s3.parts.clone().acquire_owned().await.map_err(lost)?;
        let enough = self.s3.part_bytes;
        let expected = self.bytes.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let mut bytes = BytesMut::with_capacity(expected.min(enough));
        let mut is_last = false;
        while bytes.len() < enough {
            if self.left.is_empty() {
                match self.body.next().await {
                    Some(chunk) => self.left = chunk?,
                    None => {
                        is_last = true;
                        break;
                    }
                }
            }
            let taken = self.left.split_to(self.left.len().min(enough - bytes.len()));
            bytes.extend_from_slice(&taken);
        }
        Ok(Part { bytes: bytes.freeze(), _permit: permit, is_last })
    }
}

impl S3 {
    pub(super) async fn write(&self, key: &ObjectKey, put: Put) -> Result<Stored, Error> {
        let Put { body, bytes, content_type, condition } = put;
        let content_type = content_type.unwrap_or_else(|| content_type::of_key(key).to_owned());
        let mut parts = Parts { s3: self, body, left: Bytes::new(), bytes };
        let first = parts.next().await?;
        let (bytes, etag) = if first.is_last {
            self.write_at_once(key, first, &content_type, &condition).await?
        } else {
            self.write_in_parts(key, first, parts, &content_type, &condition).await?
        };
        let created = match condition {
            Condition::None => None,
            Condition::Absent => Some(true),
            Condition::Matches(_) => Some(false),
        };
        Ok(Stored { bytes, etag, created })
    }

    async fn write_at_once(
        &self,
        key: &ObjectKey,
        part: Part,
        content_type: &str,
        condition: &Condition,
    ) -> Result<(u64, ETag), Error> {
        let (told, _alone) = self.prepare(key, condition, false).await?;
        let send = || async {
            let sending = self.client.put_object().bucket(&self.bucket).key(key.as_str()).content_type(content_type);
            let sending = sending.set_if_none_match(told.if_none_match.map(str::to_owned));
            let sending = sending.set_if_match(told.if_match.clone());
            let sent = sending.body(SdkStream::from(part.bytes.clone())).send().await;
            sent.map_err(|error| written(failure("write an object", key.as_str(), error), &told))
        };
        let patience =
            ExponentialBuilder::default().with_min_delay(CONFLICT_RETRY_AFTER).with_max_times(CONFLICT_RETRIES);
        let sent = send.retry(patience).when(|error| matches!(error, Error::Conflict { .. })).await?;
        Ok((part.bytes.len() as u64, tag(sent.e_tag())?))
    }

    async fn write_in_parts(
        &self,
        key: &ObjectKey,
        first: Part,
        mut parts: Parts<'_>,
        content_type: &str,
        condition: &Condition,
    ) -> Result<(u64, ETag), Error> {
        let mut upload = Upload::begin(self.client.clone(), self.bucket.clone(), key.clone(), content_type).await?;
        let sent = async {
            let mut part = first;
            loop {
                let is_last = part.is_last;
                upload.send(part)?;
                if is_last {
                    break;
                }
                part = parts.next().await?;
                upload.look_for_failures()?;
            }
            upload.all_sent().await
        };
        let completed = match sent.await {
            Ok(()) => match self.prepare(key, condition, true).await {
                Ok((told, _alone)) => upload.complete(&told).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match completed {
            Ok(completed) if self.honoured.absent_in_parts => Ok(completed),
            // What imitates S3 less closely (rclone) may read with another tag than it wrote with.
            Ok((bytes, etag)) => match self.look(key).await {
                Ok(meta) if meta.bytes == bytes => Ok((bytes, meta.etag)),
                _ => Ok((bytes, etag)),
            },
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// What to tell the backend of a condition. Where it would not listen, the condition is
    /// looked at here, and the key is reserved until the write is done.
    async fn prepare(
        &self,
        key: &ObjectKey,
        condition: &Condition,
        in_parts: bool,
    ) -> Result<(Told, Option<Reservation<'_>>), Error> {
        let absent_is_honoured = if in_parts { self.honoured.absent_in_parts } else { self.honoured.absent };
        match condition {
            Condition::None => Ok((Told::default(), None)),
            Condition::Absent if absent_is_honoured => Ok((Told { if_none_match: Some("*"), if_match: None }, None)),
            _ => {
                let alone = self.reserved.take(key)?;
                let present = self.check(key, condition).await?;
                // The tag that was found: `*` and lists are not known everywhere.
                let if_match = present.filter(|_| self.honoured.matches && !in_parts).map(|tag| tag.to_string());
                Ok((Told { if_none_match: None, if_match }, Some(alone)))
            }
        }
    }
}

/// S3 answers an If-Match on nothing with 404.
pub(super) fn written(error: Error, told: &Told) -> Error {
    match error {
        Error::NotFound { key } if told.if_match.is_some() => Error::ConditionFailed { key },
        other => other,
    }
}

pub(super) fn tag(raw: Option<&str>) -> Result<ETag, Error> {
    let missing = || Error::Remote { action: "write an object", source: "the answer has no entity tag".into() };
    raw.map(ETag::from_backend).ok_or_else(missing)
}
