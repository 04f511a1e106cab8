//! Finding out which conditions a backend honours: it is tried, as an answer of 200 says nothing.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use uuid::Uuid;

use super::failure::failure;
use crate::Error;

const ACTION: &str = "try conditional writes";

/// Which conditions were seen to be honoured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Honoured {
    /// `If-None-Match: *` of a write in one go.
    pub(super) absent: bool,
    /// `If-Match` of a write in one go.
    pub(super) matches: bool,
    /// `If-None-Match: *` where an upload in parts is completed.
    pub(super) absent_in_parts: bool,
}

pub(super) async fn probe(client: &Client, bucket: &str) -> Result<Honoured, Error> {
    // A key of its own: replicas may start at the same time.
    let key = format!("_probe/{}", Uuid::now_v7());
    let put = || client.put_object().bucket(bucket).key(&key).body(ByteStream::from_static(b"probe"));
    put().send().await.map_err(|error| failure(ACTION, &key, error))?;
    let absent =
        is_refused(put().if_none_match("*").send().await.map(drop).map_err(|error| failure(ACTION, &key, error)))?;
    let other = "\"00000000000000000000000000000000\"";
    let matches =
        is_refused(put().if_match(other).send().await.map(drop).map_err(|error| failure(ACTION, &key, error)))?;
    let absent_in_parts = is_refused(complete_absent(client, bucket, &key).await)?;
    let deleting = client.delete_object().bucket(bucket).key(&key).send().await;
    deleting.map_err(|error| failure(ACTION, &key, error))?;
    Ok(Honoured { absent, matches, absent_in_parts })
}

/// Some refuse what they do not know, which is not the refusal that was asked for.
fn is_refused(outcome: Result<(), Error>) -> Result<bool, Error> {
    match outcome {
        Ok(()) => Ok(false),
        Err(Error::ConditionFailed { .. }) => Ok(true),
        Err(Error::Remote { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn complete_absent(client: &Client, bucket: &str, key: &str) -> Result<(), Error> {
    let begun = client.create_multipart_upload().bucket(bucket).key(key).send().await;
    let begun = begun.map_err(|error| failure(ACTION, key, error))?;
    let id = begun.upload_id().unwrap_or_default();
    let sent = client.upload_part().bucket(bucket).key(key).upload_id(id).part_number(1);
    let sent = sent.body(ByteStream::from_static(b"probe")).send().await;
    let sent = sent.map_err(|error| failure(ACTION, key, error))?;
    let part = CompletedPart::builder().part_number(1).set_e_tag(sent.e_tag().map(str::to_owned)).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let completing = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(id);
    let completed = completing.multipart_upload(parts).if_none_match("*").send().await;
    if completed.is_err() {
        let _gone_already = client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id).send().await;
    }
    completed.map(drop).map_err(|error| failure(ACTION, key, error))
}
