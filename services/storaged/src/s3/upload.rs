//! An upload in parts: completed or aborted.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::primitives::ByteStream as SdkStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::task::JoinSet;

use super::failure::failure;
use super::put::{Part, Told, tag, written};
use crate::Error;
use crate::etag::ETag;
use crate::key::ObjectKey;

const ACTION: &str = "write an object in parts";

/// Parts are sent by tasks, which go on while the body's next part is gathered. So a part in
/// memory never waits for another one's permit.
pub(super) struct Upload {
    target: Target,
    running: JoinSet<Result<(CompletedPart, u64), Error>>,
    sent: Vec<CompletedPart>,
    bytes: u64,
    next_number: i32,
    is_over: bool,
}

#[derive(Clone)]
struct Target {
    client: Client,
    bucket: String,
    key: ObjectKey,
    id: String,
}

impl Upload {
    pub(super) async fn begin(
        client: Client,
        bucket: String,
        key: ObjectKey,
        content_type: &str,
    ) -> Result<Self, Error> {
        let beginning = client.create_multipart_upload().bucket(&bucket).key(key.as_str()).content_type(content_type);
        let id = match beginning.send().await {
            Ok(begun) => begun.upload_id().map(str::to_owned),
            Err(error) => match id_in(error.raw_response()) {
                Some(id) => Some(id),
                None => return Err(failure(ACTION, key.as_str(), error)),
            },
        };
        let no_id = || Error::Remote { action: ACTION, source: "the upload that was begun has no id".into() };
        let id = id.filter(|id| !id.is_empty()).ok_or_else(no_id)?;
        let target = Target { client, bucket, key, id };
        Ok(Upload { target, running: JoinSet::new(), sent: Vec::new(), bytes: 0, next_number: 1, is_over: false })
    }

    /// Starts to send the next part.
    pub(super) fn send(&mut self, part: Part) -> Result<(), Error> {
        let number = self.next_number;
        // The whole object may be a multiple of a part: then the last one is empty.
        if part.bytes.is_empty() && number > 1 {
            return Ok(());
        }
        self.next_number += 1;
        let target = self.target.clone();
        self.running.spawn(async move {
            let bytes = part.bytes.len() as u64;
            let sending = target.client.upload_part().bucket(&target.bucket).key(target.key.as_str());
            let sending = sending.upload_id(&target.id).part_number(number);
            let sent = sending.body(SdkStream::from(part.bytes.clone())).send().await;
            let sent = sent.map_err(|error| failure(ACTION, target.key.as_str(), error))?;
            let etag = sent.e_tag().map(str::to_owned);
            Ok((CompletedPart::builder().part_number(number).set_e_tag(etag).build(), bytes))
        });
        Ok(())
    }

    /// Notes the parts that are sent by now; fails as soon as one of them has.
    pub(super) fn look_for_failures(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.running.try_join_next() {
            self.note(ended)?;
        }
        Ok(())
    }

    pub(super) async fn all_sent(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.running.join_next().await {
            self.note(ended)?;
        }
        Ok(())
    }

    fn note(
        &mut self,
        ended: Result<Result<(CompletedPart, u64), Error>, tokio::task::JoinError>,
    ) -> Result<(), Error> {
        let lost = |error: tokio::task::JoinError| Error::Remote { action: ACTION, source: error.into() };
        let (part, bytes) = ended.map_err(lost)??;
        self.sent.push(part);
        self.bytes += bytes;
        Ok(())
    }

    /// Makes the object of its parts.
    pub(super) async fn complete(&mut self, told: &Told) -> Result<(u64, ETag), Error> {
        self.sent.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.sent))).build();
        let target = &self.target;
        let completing = target.client.complete_multipart_upload().bucket(&target.bucket).key(target.key.as_str());
        let completing = completing.upload_id(&target.id).multipart_upload(parts);
        let completing = completing.set_if_none_match(told.if_none_match.map(str::to_owned));
        let completed = completing.set_if_match(told.if_match.clone()).send().await;
        let completed = completed.map_err(|error| written(failure(ACTION, target.key.as_str(), error), told))?;
        self.is_over = true;
        Ok((self.bytes, tag(completed.e_tag())?))
    }

    pub(super) async fn abort(mut self) {
        self.is_over = true;
        self.running.shutdown().await;
        self.target.clone().abort().await;
    }
}

/// The id in an answer that the SDK does not take although it says that all is well: rclone calls
/// its outermost element `InitiateMultipartUpload`, S3 `InitiateMultipartUploadResult`.
fn id_in(answer: Option<&HttpResponse>) -> Option<String> {
    let answer = answer.filter(|answer| answer.status().is_success())?;
    let text = std::str::from_utf8(answer.body().bytes()?).ok()?;
    let (_, rest) = text.split_once("<UploadId>")?;
    Some(rest.split_once("</UploadId>")?.0.to_owned())
}

impl Target {
    async fn abort(self) {
        let aborting = self.client.abort_multipart_upload().bucket(&self.bucket).key(self.key.as_str());
        if let Err(error) = aborting.upload_id(&self.id).send().await {
            let error = failure("abort an upload", self.key.as_str(), error);
            tracing::warn!(error = &error as &dyn std::error::Error, "parts of an upload stay in the bucket");
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // The client left: nobody waits for this any more.
        self.running.abort_all();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.target.clone().abort());
        }
    }
}
