//! Objects in S3, or in what imitates it.
//!
//! Conditional writes are the backend's to decide: of two replicas that write a version of the
//! catalog one must lose. Not everything that speaks S3 honours them, and those that do not
//! answer 200 all the same. So the start finds out ([`probe`]), and where they are ignored this
//! adapter looks before it writes, one conditional write of a key at a time: right within one
//! storaged, and reported as degraded, since it is not so between two.
//!
//! Invariant: at most `parts_in_memory_max` parts of objects are in memory.
//! Invariant: an upload in parts is completed or aborted.

mod client;
mod failure;
mod list;
mod probe;
mod put;
mod read;
mod reservation;
mod upload;

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use backon::{ExponentialBuilder, Retryable};
use futures::FutureExt;
use futures::future::BoxFuture;
use kit::server::ServeError;
use tokio::sync::Semaphore;

use crate::Error;
use crate::config::S3Config;
use crate::etag::{Condition, ETag};
use crate::key::ObjectKey;
use crate::store::{ListQuery, Object, ObjectMeta, ObjectStore, Page, Put, Read, Stored};

/// The region whose name S3 does not want to hear when a bucket is made.
const UNNAMED_REGION: &str = "us-east-1";
/// What one server-side copy takes; more would need parts.
const COPY_BYTES_MAX: u64 = 5 << 30;

/// The S3 backend.
pub(crate) struct S3 {
    client: Client,
    bucket: String,
    part_bytes: usize,
    /// One for each part that may be in memory.
    parts: Arc<Semaphore>,
    honoured: probe::Honoured,
    reserved: reservation::Reservations,
}

impl S3 {
    /// Waits for S3 to answer, makes the bucket where it is missing, and finds out which
    /// conditions are honoured.
    pub(crate) async fn open(config: &S3Config) -> Result<Self, ServeError> {
        let client = client::client(config).await;
        let patience = ExponentialBuilder::default().with_total_delay(Some(config.start_timeout)).without_max_times();
        let ready = || ensure_bucket(&client, config);
        let is_worth_waiting = |error: &Error| matches!(error, Error::RemoteAway { .. });
        ready
            .retry(patience)
            .when(is_worth_waiting)
            .await
            .map_err(|error| ServeError::start(format!("the bucket {} cannot be used", config.bucket), error))?;
        let honoured = probe::probe(&client, &config.bucket)
            .await
            .map_err(|error| ServeError::start(format!("the bucket {} cannot be written to", config.bucket), error))?;
        tracing::info!(bucket = config.bucket, ?honoured, "conditional writes");
        Ok(S3 {
            client,
            bucket: config.bucket.clone(),
            part_bytes: usize::try_from(config.part_bytes).unwrap_or(usize::MAX),
            parts: Arc::new(Semaphore::new(config.parts_in_memory_max)),
            honoured,
            reserved: reservation::Reservations::default(),
        })
    }

    /// The tag of what lies at `key`, if anything does.
    async fn tag(&self, key: &ObjectKey) -> Result<Option<ETag>, Error> {
        match self.look(key).await {
            Ok(meta) => Ok(Some(meta.etag)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks whether `condition` holds now; the tag of what is there.
    async fn check(&self, key: &ObjectKey, condition: &Condition) -> Result<Option<ETag>, Error> {
        let present = self.tag(key).await?;
        if condition.holds(present.as_ref()) {
            Ok(present)
        } else {
            Err(Error::ConditionFailed { key: key.to_string() })
        }
    }

    async fn remove(&self, key: &ObjectKey, condition: &Condition) -> Result<(), Error> {
        let _alone = match condition {
            Condition::None => None,
            _ => Some(self.reserved.take(key)?),
        };
        if *condition != Condition::None && self.check(key, condition).await?.is_none() {
            return Ok(());
        }
        let deleting = self.client.delete_object().bucket(&self.bucket).key(key.as_str());
        match deleting.send().await.map_err(|error| failure::failure("delete an object", key.as_str(), error)) {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn duplicate(&self, source: &ObjectKey, target: &ObjectKey, condition: &Condition) -> Result<Stored, Error> {
        let _alone = self.reserved.take(target)?;
        let meta = self.look(source).await?;
        if !condition.holds(Some(&meta.etag)) {
            return Err(Error::ConditionFailed { key: source.to_string() });
        }
        if meta.bytes > COPY_BYTES_MAX {
            let reason = format!("an object of more than {COPY_BYTES_MAX} bytes cannot be copied within S3");
            return Err(Error::InvalidArgument { reason });
        }
        if self.tag(target).await?.is_some() {
            return Err(Error::AlreadyExists { key: target.to_string() });
        }
        let copying = self.client.copy_object().bucket(&self.bucket).key(target.as_str());
        let copying = copying.copy_source(copy_source(&self.bucket, source)).copy_source_if_match(meta.etag.as_str());
        let copied =
            copying.send().await.map_err(|error| failure::failure("copy an object", source.as_str(), error))?;
        let etag = copied.copy_object_result().and_then(|result| result.e_tag()).map(ETag::from_backend);
        Ok(Stored { bytes: meta.bytes, etag: etag.unwrap_or(meta.etag), created: Some(true) })
    }
}

/// `bucket/key`, as it has to stand in a header.
fn copy_source(bucket: &str, key: &ObjectKey) -> String {
    let mut source = format!("{bucket}/");
    for byte in key.as_str().bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => source.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => source.push(char::from(byte)),
            _ => source.push_str(&format!("%{byte:02X}")),
        }
    }
    source
}

async fn ensure_bucket(client: &Client, config: &S3Config) -> Result<(), Error> {
    let looked = client.head_bucket().bucket(&config.bucket).send().await;
    match looked.map_err(|error| failure::failure("look at the bucket", &config.bucket, error)) {
        Ok(_) => return Ok(()),
        Err(Error::NotFound { .. }) if config.create_bucket => {}
        Err(error) => return Err(error),
    }
    let region = BucketLocationConstraint::from(config.region.as_str());
    let place = (config.region != UNNAMED_REGION)
        .then(|| CreateBucketConfiguration::builder().location_constraint(region).build());
    let made = client.create_bucket().bucket(&config.bucket).set_create_bucket_configuration(place).send().await;
    match made {
        Ok(_) => Ok(()),
        // Another replica was quicker.
        Err(error) if error.as_service_error().is_some_and(|error| error.is_bucket_already_owned_by_you()) => Ok(()),
        Err(error) => Err(failure::failure("create the bucket", &config.bucket, error)),
    }
}

impl ObjectStore for S3 {
    fn put<'a>(&'a self, key: &'a ObjectKey, put: Put) -> BoxFuture<'a, Result<Stored, Error>> {
        self.write(key, put).boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, read: &'a Read) -> BoxFuture<'a, Result<Object, Error>> {
        self.read(key, read).boxed()
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, Error>> {
        self.look(key).boxed()
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey, condition: &'a Condition) -> BoxFuture<'a, Result<(), Error>> {
        self.remove(key, condition).boxed()
    }

    fn list(&self, query: ListQuery) -> BoxFuture<'_, Result<Page, Error>> {
        self.page(query).boxed()
    }

    fn copy<'a>(
        &'a self,
        source: &'a ObjectKey,
        target: &'a ObjectKey,
        source_condition: &'a Condition,
    ) -> BoxFuture<'a, Result<Stored, Error>> {
        self.duplicate(source, target, source_condition).boxed()
    }

    fn locate(&self, text: &str) -> String {
        format!("s3://{}/{text}", self.bucket)
    }

    fn conditional_puts(&self) -> bool {
        // Manifests of very many objects are longer than a part.
        self.honoured.absent && self.honoured.absent_in_parts
    }

    fn check(&self) -> BoxFuture<'_, Result<String, Error>> {
        let looking = self.client.head_bucket().bucket(&self.bucket).send();
        async move {
            let looked = looking.await;
            looked.map_err(|error| failure::failure("look at the bucket", &self.bucket, error))?;
            Ok(format!("S3, bucket {}", self.bucket))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_source_stands_in_a_header() {
        let key = ObjectKey::parse("a b/ü+%.txt").unwrap();
        assert_eq!(copy_source("bucket", &key), "bucket/a%20b/%C3%BC%2B%25.txt");
    }
}
