//! storaged, as this service needs it: small objects whole, the ends of large ones, conditional
//! creation, copies, lists.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use kit::grpc::PeerChannel;
use kit::{Code, Problem};
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::internal::v1::{CopyRequest, LocateRequest};
use proto::v1::{
    Condition, DeleteRequest, GetRequest, ListRequest, ListResponse, ObjectInfo, PutRequest, PutResponse, PutStart,
    get_response, put_request,
};
use tokio::sync::Semaphore;
use tonic::Status;
use url::Url;

use crate::Error;

const CHUNK_BYTES: usize = 1 << 20;
const LIST_LIMIT: u32 = 1_000;
const READ_ATTEMPTS: usize = 3;
const RETRY_FROM: Duration = Duration::from_millis(20);
/// storaged refuses what it has no permit for instead of queueing it.
const WRITE_ATTEMPTS: usize = 10;
const WRITE_RETRY_TO: Duration = Duration::from_secs(1);

/// A client of storaged. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Storage {
    client: ObjectStoreClient<PeerChannel>,
    timeout: Duration,
    writes: Arc<Semaphore>,
}

/// What became of a conditional creation.
#[derive(Debug)]
pub(crate) enum Creation {
    Created,
    /// Another one is there already, maybe by an earlier try of this.
    Exists,
    /// Nobody knows: it may be there, or come to be.
    Unknown(Error),
    Refused(Error),
}

impl Storage {
    /// A client of the storaged at `url`, which sends at most `writes_max` writes at once.
    ///
    /// # Errors
    /// A URL that no channel can be made of.
    pub(crate) fn connect(url: &Url, timeout: Duration, writes_max: usize) -> Result<Self, tonic::transport::Error> {
        // Answers are bounded by what is asked for: pages of a list, chunks of an object.
        let client = ObjectStoreClient::new(kit::grpc::channel(url)?).max_decoding_message_size(usize::MAX);
        Ok(Storage { client, timeout, writes: Arc::new(Semaphore::new(writes_max)) })
    }

    /// The object, or its last `suffix` bytes where that is not 0, and what it is. `None` where
    /// there is none.
    ///
    /// # Errors
    /// Storage that fails; an object longer than `bytes_max`.
    pub(crate) async fn get(&self, request: GetRequest, bytes_max: u64) -> Result<Option<(ObjectInfo, Bytes)>, Error> {
        let key = request.key.clone();
        let read = || self.within(collect(self.client.clone(), request.clone(), bytes_max));
        match read.retry(backoff()).when(passes).await {
            Ok(found) => Ok(Some(found)),
            Err(status) if code(&status) == Code::NotFound => Ok(None),
            Err(status) => Err(failure(&key, status)),
        }
    }

    /// One page of a list.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) async fn list(&self, prefix: &str, delimiter: &str, cursor: &str) -> Result<ListResponse, Error> {
        let request = ListRequest {
            prefix: prefix.to_owned(),
            delimiter: delimiter.to_owned(),
            limit: LIST_LIMIT,
            cursor: cursor.to_owned(),
        };
        let read = || {
            let (mut client, request) = (self.client.clone(), request.clone());
            self.within(async move { client.list(request).await })
        };
        let answer = read.retry(backoff()).when(passes).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure(prefix, status))
    }

    /// Creates an object where there is none of that key.
    pub(crate) async fn create(&self, key: &str, content: Bytes) -> Creation {
        let start = PutStart {
            key: key.to_owned(),
            bytes: Some(content.len() as u64),
            condition: Some(Condition { if_none_match: "*".to_owned(), if_match: String::new() }),
            content_type: "application/vnd.apache.parquet".to_owned(),
        };
        let chunks: Vec<Bytes> = (0..content.len())
            .step_by(CHUNK_BYTES)
            .map(|from| content.slice(from..content.len().min(from + CHUNK_BYTES)))
            .collect();
        let parts =
            std::iter::once(put_request::Part::Start(start)).chain(chunks.into_iter().map(put_request::Part::Chunk));
        let messages: Vec<PutRequest> = parts.map(|part| PutRequest { part: Some(part) }).collect();
        let put = || {
            let (mut client, messages) = (self.client.clone(), messages.clone());
            self.write(async move { client.put(tokio_stream::iter(messages)).await })
        };
        let Err(status) = put.retry(write_backoff()).when(has_no_room).await else { return Creation::Created };
        match code(&status) {
            // Another conditional put of the same key was under way: which one won is seen by reading.
            Code::FailedPrecondition | Code::AlreadyExists | Code::Conflict => Creation::Exists,
            Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::BadGateway => {
                Creation::Unknown(failure(key, status))
            }
            _ => Creation::Refused(failure(key, status)),
        }
    }

    /// Copies an object while it is still the one with `etag`.
    ///
    /// # Errors
    /// 409 where it is not; storage that fails.
    pub(crate) async fn copy(&self, source: &str, target: &str, etag: &str) -> Result<PutResponse, Error> {
        let request =
            CopyRequest { source: source.to_owned(), target: target.to_owned(), source_if_match: etag.to_owned() };
        let copy = || {
            let (mut client, request) = (self.client.clone(), request.clone());
            self.write(async move { client.copy(request).await })
        };
        match copy.retry(write_backoff()).when(has_no_room).await {
            Ok(copied) => Ok(copied.into_inner()),
            Err(status) => Err(match code(&status) {
                Code::FailedPrecondition => Error::ObjectChanged { key: source.to_owned() },
                Code::NotFound => Error::NoObject { key: source.to_owned() },
                _ => failure(source, status),
            }),
        }
    }

    /// Deletes an object; one that is not there is deleted already.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Error> {
        let delete = || {
            let mut client = self.client.clone();
            self.within(async move { client.delete(DeleteRequest { key: key.to_owned() }).await })
        };
        match delete.retry(backoff()).when(passes).await {
            Ok(_) => Ok(()),
            Err(status) if code(&status) == Code::NotFound => Ok(()),
            Err(status) => Err(failure(key, status)),
        }
    }

    /// Whether conditional puts are honoured where the objects lie.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) async fn honours_conditions(&self) -> Result<bool, Error> {
        let mut client = self.client.clone();
        let located = self.within(async move { client.locate(LocateRequest::default()).await }).await;
        located.map(|located| located.into_inner().conditional_puts).map_err(|status| failure("storage", status))
    }

    async fn write<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        // Never closed.
        let _permit = self.writes.acquire().await.map_err(|error| Status::internal(error.to_string()))?;
        self.within(call).await
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answered) => answered,
            Err(_) => Err(Problem::new(Code::DeadlineExceeded, "storaged did not answer in time").into()),
        }
    }
}

async fn collect(
    mut client: ObjectStoreClient<PeerChannel>,
    request: GetRequest,
    bytes_max: u64,
) -> Result<(ObjectInfo, Bytes), Status> {
    let mut stream = client.get(request).await?.into_inner();
    let mut info = None;
    let mut content = BytesMut::new();
    while let Some(message) = stream.message().await? {
        match message.part {
            Some(get_response::Part::Info(first)) => info = Some(first),
            Some(get_response::Part::Chunk(chunk)) => content.extend_from_slice(&chunk),
            None => {}
        }
        if content.len() as u64 > bytes_max {
            return Err(Problem::new(Code::PayloadTooLarge, format!("it is longer than {bytes_max} bytes")).into());
        }
    }
    let info = info.ok_or_else(|| Status::internal("storaged said nothing of the object"))?;
    Ok((info, content.freeze()))
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(RETRY_FROM).with_max_times(READ_ATTEMPTS - 1).with_jitter()
}

fn write_backoff() -> ExponentialBuilder {
    backoff().with_max_delay(WRITE_RETRY_TO).with_max_times(WRITE_ATTEMPTS - 1)
}

/// Nothing was begun: a write may be tried again.
fn has_no_room(status: &Status) -> bool {
    code(status) == Code::Overloaded
}

/// Whether it is worth to try again.
fn passes(status: &Status) -> bool {
    matches!(code(status), Code::Unavailable | Code::Overloaded)
}

fn code(status: &Status) -> Code {
    Problem::from_status("storaged", status.clone()).code
}

fn failure(what: &str, status: Status) -> Error {
    Error::Storage { what: what.to_owned(), problem: Problem::from_status("storaged", status) }
}
