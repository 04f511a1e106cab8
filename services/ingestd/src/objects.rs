//! The port to storaged: objects streamed in while they are made.

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt};
use kit::context::Context;
use kit::grpc::PeerChannel;
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::v1::put_request::Part;
use proto::v1::{DeleteRequest, PutRequest, PutStart};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::encode::{Object, Objects};
use crate::error::{Error, Result};

const PEER: &str = "storaged";
const CHUNK_BYTES: usize = 1 << 20;
const CHUNKS_QUEUED: usize = 4;
const CONTENT_TYPE: &str = "application/vnd.apache.parquet";

/// storaged, for one service.
#[derive(Clone)]
pub(crate) struct Storage {
    client: ObjectStoreClient<PeerChannel>,
    timeout: Duration,
}

impl Storage {
    pub(crate) fn new(channel: PeerChannel, timeout: Duration) -> Self {
        Storage { client: ObjectStoreClient::new(channel), timeout }
    }

    /// Removes objects that no version will name. What cannot be removed now is left to catalogd's
    /// collection of orphans.
    pub(crate) async fn remove(&self, keys: Vec<String>) {
        for key in keys {
            let request = DeleteRequest { key: key.clone() };
            let mut client = self.client.clone();
            match tokio::time::timeout(self.timeout, client.delete(request)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(%key, %error, "an orphan is left to be collected"),
                Err(_) => tracing::warn!(%key, "an orphan is left to be collected: no answer from storaged"),
            }
        }
    }
}

/// The objects of one ingest: those of a dataset, with the keys that were begun.
pub(crate) struct DatasetObjects {
    storage: Storage,
    dataset_id: String,
    runtime: Handle,
    context: Option<Context>,
    keys: Mutex<Vec<String>>,
}

impl DatasetObjects {
    pub(crate) fn new(storage: Storage, dataset_id: String, runtime: Handle, context: Option<Context>) -> Self {
        DatasetObjects { storage, dataset_id, runtime, context, keys: Mutex::default() }
    }

    /// Every key that may exist now.
    pub(crate) fn into_keys(self) -> Vec<String> {
        self.keys.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Objects for DatasetObjects {
    type Object = Upload;

    fn begin(&self) -> Result<Upload> {
        let key = format!("datasets/{}/{}.parquet", self.dataset_id, Uuid::now_v7());
        self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(key.clone());
        let (chunks, queue) = mpsc::channel(CHUNKS_QUEUED);
        let mut client = self.storage.client.clone();
        let put = async move { client.put(messages(key, queue)).await.map(|_| ()) };
        let task = match self.context.clone() {
            Some(context) => self.runtime.spawn(context.scope(put)),
            None => self.runtime.spawn(put),
        };
        let task = AbortOnDrop { task: Some(task) };
        Ok(Upload { buffer: BytesMut::with_capacity(CHUNK_BYTES), chunks, task, runtime: self.runtime.clone() })
    }
}

/// What is sent to storaged. The end of the stream is what makes the object: it comes after
/// `None`, which only [`Upload::finish`] sends; without it the stream stays open until the call is
/// dropped, so that half an object is never taken for a whole one.
fn messages(key: String, queue: mpsc::Receiver<Option<Bytes>>) -> impl Stream<Item = PutRequest> {
    let start = PutStart { key, bytes: None, condition: None, content_type: CONTENT_TYPE.into() };
    let chunks = stream::unfold(queue, |mut queue| async move {
        match queue.recv().await {
            Some(Some(chunk)) => Some((Part::Chunk(chunk), queue)),
            Some(None) => None,
            None => std::future::pending().await,
        }
    });
    let parts = stream::once(std::future::ready(Part::Start(start))).chain(chunks);
    parts.map(|part| PutRequest { part: Some(part) })
}

struct AbortOnDrop {
    task: Option<JoinHandle<std::result::Result<(), tonic::Status>>>,
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// An object on its way to storaged. Dropped unfinished, the call is cancelled and storaged keeps
/// nothing.
pub(crate) struct Upload {
    buffer: BytesMut,
    chunks: mpsc::Sender<Option<Bytes>>,
    task: AbortOnDrop,
    runtime: Handle,
}

impl Upload {
    fn send(&mut self) -> io::Result<()> {
        let chunk = self.buffer.split().freeze();
        if chunk.is_empty() {
            return Ok(());
        }
        self.buffer.reserve(CHUNK_BYTES);
        // The call has ended: its answer says why, once the object is finished.
        self.chunks.blocking_send(Some(chunk)).map_err(|_| io::Error::other("storaged takes no more of the object"))
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Object for Upload {
    fn failure(&mut self) -> Option<Error> {
        let ended = self.task.task.take_if(|task| task.is_finished())?;
        match self.runtime.block_on(ended) {
            Ok(Err(status)) => Some(Error::peer(PEER, status)),
            _ => None,
        }
    }

    fn finish(mut self) -> Result<()> {
        let sent = self.send().is_ok() && self.chunks.blocking_send(None).is_ok();
        let Some(task) = self.task.task.take() else { return Err(Error::Internal("an object was finished twice")) };
        match self.runtime.block_on(task) {
            Ok(Ok(())) if sent => Ok(()),
            Ok(Ok(())) => Err(Error::Internal("storaged took half an object")),
            Ok(Err(status)) => Err(Error::peer(PEER, status)),
            Err(_) => Err(Error::Internal("an upload ended without an answer")),
        }
    }
}
