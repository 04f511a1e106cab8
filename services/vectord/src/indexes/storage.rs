//! Snapshots in object storage: `_vectors/{name}/{uuid}/`, for when the data folder is lost.
//!
//! An index is restored from there when the data folder does not have it. So one that is deleted is
//! marked in `removed/` until storage has forgotten it too.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use kit::grpc::PeerChannel;
use kit::{Problem, Status};
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::v1::{DeleteRequest, GetRequest, ListRequest, PutRequest, PutStart, get_response, put_request};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use super::{Indexes, State};
use crate::Error;
use crate::config::Config;
use crate::index::{INDEX_FILE, Index, IndexFile, write_whole};
use crate::log::{snapshot_lsn, snapshot_name};
use crate::name::IndexName;

const PREFIX: &str = "_vectors/";
const CHUNK_BYTES: usize = 256 << 10;
const COMPONENT: &str = "snapshots in storage";
/// Between two tries to ask a storage that is not there yet what it has.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// The way to storaged.
#[derive(Clone)]
pub(super) struct Storage {
    channel: PeerChannel,
    timeout: Duration,
    message_bytes_max: usize,
}

/// An index that storage has.
struct Stored {
    uuid: Uuid,
    /// Of its newest snapshot.
    snapshot: String,
}

impl Storage {
    pub(super) fn connect(config: &Config) -> Result<Self, tonic::transport::Error> {
        let channel = kit::grpc::channel(&config.storaged_url)?;
        let message_bytes_max = config.http.grpc_message_bytes_max();
        Ok(Storage { channel, timeout: config.storage_timeout, message_bytes_max })
    }

    fn client(&self) -> ObjectStoreClient<PeerChannel> {
        ObjectStoreClient::new(self.channel.clone()).max_decoding_message_size(self.message_bytes_max)
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, tonic::Status>>) -> Result<T, Error> {
        let status = match timeout(self.timeout, call).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(status)) => status,
            Err(_) => tonic::Status::deadline_exceeded("storage_timeout"),
        };
        Err(Error::Peer { what: "storage".into(), problem: Problem::from_status("storaged", status) })
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut cursor = String::new();
        loop {
            let request = ListRequest { prefix: prefix.to_owned(), cursor, ..ListRequest::default() };
            let page = self.within(async { self.client().list(request).await }).await?.into_inner();
            keys.extend(page.objects.into_iter().map(|object| object.key));
            cursor = page.next_cursor;
            if cursor.is_empty() {
                return Ok(keys);
            }
        }
    }

    async fn delete(&self, key: String) -> Result<(), Error> {
        self.within(async { self.client().delete(DeleteRequest { key }).await }).await.map(drop)
    }

    async fn put(&self, key: String, file: PathBuf) -> Result<(), Error> {
        let (to, parts) = mpsc::channel(4);
        let reading = tokio::task::spawn_blocking(move || {
            let mut file = File::open(file)?;
            let bytes = Some(file.metadata()?.len());
            let start = PutStart { key, bytes, ..PutStart::default() };
            let mut part = put_request::Part::Start(start);
            while to.blocking_send(PutRequest { part: Some(part) }).is_ok() {
                let mut chunk = vec![0; CHUNK_BYTES];
                let read = file.read(&mut chunk)?;
                chunk.truncate(read);
                if read == 0 {
                    break;
                }
                part = put_request::Part::Chunk(Bytes::from(chunk));
            }
            Ok::<_, std::io::Error>(())
        });
        self.within(async { self.client().put(ReceiverStream::new(parts)).await }).await?;
        let read = reading.await.map_err(|_| Error::WorkLost)?;
        read.map_err(|source| Error::Io { what: "reading a snapshot", source })
    }

    async fn get(&self, key: String, file: PathBuf) -> Result<(), Error> {
        let io = |source| Error::Io { what: "restoring an index", source };
        let request = GetRequest { key, ..GetRequest::default() };
        let mut parts = self.within(async { self.client().get(request).await }).await?.into_inner();
        let mut file = tokio::fs::File::create(file).await.map_err(io)?;
        while let Some(part) = self.within(async { parts.next().await.transpose() }).await? {
            if let Some(get_response::Part::Chunk(chunk)) = part.part {
                file.write_all(&chunk).await.map_err(io)?;
            }
        }
        file.sync_all().await.map_err(io)
    }

    /// Every index that has a whole snapshot there; of two of one name, the younger.
    async fn indexes(&self) -> Result<BTreeMap<IndexName, Stored>, Error> {
        let mut indexes: BTreeMap<IndexName, Stored> = BTreeMap::new();
        for key in self.keys(PREFIX).await? {
            let mut parts = key[PREFIX.len()..].split('/');
            let (Some(name), Some(uuid), Some(file), None) = (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            if let (Ok(name), Ok(uuid)) = (IndexName::parse(name), uuid.parse::<Uuid>())
                && snapshot_lsn(file).is_some()
            {
                // Names of snapshots sort by age, and so do uuids of version 7.
                let held = indexes.get(&name).map(|stored| (stored.uuid, stored.snapshot.as_str()));
                if held.is_none_or(|held| held < (uuid, file)) {
                    indexes.insert(name, Stored { uuid, snapshot: file.to_owned() });
                }
            }
        }
        Ok(indexes)
    }
}

fn folder_key(name: &IndexName, uuid: Uuid) -> String {
    format!("{PREFIX}{name}/{uuid}/")
}

impl Indexes {
    fn marks(&self) -> PathBuf {
        self.config().data_dir.join("removed")
    }

    /// Copies the newest snapshot to storage, and drops what is older than those that are kept.
    ///
    /// # Errors
    /// Storage that is not there.
    pub(super) async fn store_snapshot(&self, index: &Arc<Index>) -> Result<(), Error> {
        let Some(storage) = &self.0.storage else { return Ok(()) };
        let stored = self.copy_snapshot(storage, index).await;
        match &stored {
            Ok(()) => self.0.health.set(COMPONENT, Status::Ok, "as they are here"),
            Err(error) => self.0.health.set(COMPONENT, Status::Degraded, error.to_string()),
        }
        stored
    }

    async fn copy_snapshot(&self, storage: &Storage, index: &Arc<Index>) -> Result<(), Error> {
        let Some(newest) = index.newest_snapshot().await? else { return Ok(()) };
        let newest = snapshot_name(newest);
        let key = folder_key(&index.settings.name, index.settings.uuid);
        storage.put(format!("{key}{INDEX_FILE}"), index.folder().join(INDEX_FILE)).await?;
        storage.put(format!("{key}{newest}"), index.folder().join(&newest)).await?;
        let mut kept: Vec<String> = storage.keys(&key).await?;
        kept.retain(|key| key.rsplit('/').next().and_then(snapshot_lsn).is_some());
        kept.sort();
        let outdated = kept.len().saturating_sub(self.config().snapshots_kept);
        for key in kept.drain(..outdated) {
            storage.delete(key).await?;
        }
        Ok(())
    }

    /// Copies snapshots as they are taken.
    pub(crate) async fn store_snapshots(&self, mut taken: mpsc::Receiver<Arc<Index>>) {
        while let Some(index) = taken.recv().await {
            if let Err(error) = self.store_snapshot(&index).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(index = %index.settings.name, error, "a snapshot is not in storage");
            }
        }
    }

    /// Notes that an index is to be forgotten in storage too, and begins with it.
    pub(super) async fn forget_in_storage(&self, name: &IndexName, uuid: Uuid) -> Result<(), Error> {
        if self.0.storage.is_none() {
            return Ok(());
        }
        let (folder, key) = (self.marks(), folder_key(name, uuid));
        let mark = move || {
            fs::create_dir_all(&folder)?;
            write_whole(&folder.join(uuid.to_string()), key.as_bytes())
        };
        let marked = self.0.shared.maintenance.run(mark).await?;
        marked.map_err(|source| Error::Io { what: "marking an index as removed", source })?;
        let indexes = self.clone();
        self.0.shared.tasks.spawn(async move {
            if let Err(error) = indexes.forget_marked().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "removed indexes are still in storage");
            }
        });
        Ok(())
    }

    /// Removes what is marked from storage, then the marks.
    async fn forget_marked(&self) -> Result<(), Error> {
        let Some(storage) = &self.0.storage else { return Ok(()) };
        let io = |source| Error::Io { what: "reading the marks of removed indexes", source };
        let folder = self.marks();
        if !folder.exists() {
            return Ok(());
        }
        for entry in fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let prefix = fs::read_to_string(&path).map_err(io)?;
            for key in storage.keys(&prefix).await? {
                storage.delete(key).await?;
            }
            fs::remove_file(&path).map_err(io)?;
        }
        Ok(())
    }

    /// Waits for storage, forgets there what was deleted here, and restores what is missing here.
    pub(crate) async fn restore_missing(&self) {
        let Some(storage) = &self.0.storage else { return };
        loop {
            match self.try_restore(storage).await {
                Ok(()) => break self.0.health.remove(COMPONENT),
                Err(error) => {
                    self.0.health.set(COMPONENT, Status::Degraded, error.to_string());
                    sleep(RETRY_EVERY).await;
                }
            }
        }
    }

    async fn try_restore(&self, storage: &Storage) -> Result<(), Error> {
        self.forget_marked().await?;
        for (name, stored) in storage.indexes().await? {
            let _naming = self.0.naming.lock().await;
            let names = self.0.names.load_full();
            if names.indexes.contains_key(&name) || names.aliases.contains_key(&name) {
                continue;
            }
            tracing::info!(index = %name, snapshot = stored.snapshot, "restoring from storage");
            self.restore(storage, &name, &stored).await?;
            self.swap(|names| drop(names.indexes.insert(name.clone(), State::Loading)));
            self.load_one(name).await;
        }
        Ok(())
    }

    async fn restore(&self, storage: &Storage, name: &IndexName, stored: &Stored) -> Result<(), Error> {
        let io = |source| Error::Io { what: "restoring an index", source };
        let folder = self.folder(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io)?;
        }
        fs::create_dir_all(&folder).map_err(io)?;
        let key = folder_key(name, stored.uuid);
        storage.get(format!("{key}{}", stored.snapshot), folder.join(&stored.snapshot)).await?;
        let settings = folder.join("restored.json");
        storage.get(format!("{key}{INDEX_FILE}"), settings.clone()).await?;
        let json = fs::read(&settings).map_err(io)?;
        fs::remove_file(&settings).map_err(io)?;
        // Last: from here on the folder is an index.
        IndexFile::from_json(&json)?.write(&folder)
    }
}
