//! Writing objects: to a temporary file first, then in one step to its place.

use bytes::Bytes;
use futures::StreamExt;
use tokio::task::JoinHandle;

use super::pool::Pool;
use super::temp::TempFile;
use super::{Files, Local, etag, folders, read};
use crate::Error;
use crate::etag::Condition;
use crate::key::ObjectKey;
use crate::store::{ByteStream, Put, Stored};

/// An object up to this is written in one go, with one change of threads.
const SHORT_BYTES: usize = 256 << 10;
/// Of a longer one, so much is gathered while the piece before is written.
const PIECE_BYTES: usize = 1 << 20;

/// After so much of a long object the disk is set to work, so that the fsync at the end has little
/// left to wait for.
const WRITEBACK_BYTES: usize = 32 << 20;

/// A part of a body, as it came.
struct Piece {
    chunks: Vec<Bytes>,
    bytes: usize,
    is_last: bool,
}

impl Piece {
    async fn gather(body: &mut ByteStream, enough_bytes: usize) -> Result<Self, Error> {
        let (mut chunks, mut bytes) = (Vec::new(), 0);
        while bytes < enough_bytes {
            match body.next().await {
                Some(chunk) => {
                    let chunk = chunk?;
                    bytes += chunk.len();
                    chunks.push(chunk);
                }
                None => return Ok(Piece { chunks, bytes, is_last: true }),
            }
        }
        Ok(Piece { chunks, bytes, is_last: false })
    }
}

/// Where an object goes, and when.
struct Target {
    key: ObjectKey,
    condition: Condition,
    content_type: Option<String>,
}

impl Local {
    pub(super) async fn write(&self, key: &ObjectKey, put: Put) -> Result<Stored, Error> {
        let Put { mut body, bytes: _, content_type, condition } = put;
        let target = Target { key: key.clone(), condition, content_type };
        let mut piece = Piece::gather(&mut body, SHORT_BYTES).await?;
        if piece.is_last {
            return self
                .run(move |files| {
                    let mut temp = files.new_temp()?;
                    write(&mut temp, &piece)?;
                    files.commit(temp, target)
                })
                .await;
        }
        let mut temp = self.run(Files::new_temp).await?;
        let mut writeback = Writeback::new(self.files.fsync);
        while !piece.is_last {
            writeback.wrote(&self.pool, &temp, piece.bytes).await?;
            let writing = self.run(move |_| write(&mut temp, &piece).map(|()| temp));
            let (written, next) = futures::join!(writing, Piece::gather(&mut body, PIECE_BYTES));
            (temp, piece) = (written?, next?);
        }
        writeback.end().await?;
        self.run(move |files| {
            write(&mut temp, &piece)?;
            files.commit(temp, target)
        })
        .await
    }
}

/// Has the disk write while the object still comes in.
struct Writeback {
    is_wanted: bool,
    waiting_bytes: usize,
    running: Option<JoinHandle<Result<(), Error>>>,
}

impl Writeback {
    fn new(is_wanted: bool) -> Self {
        Writeback { is_wanted, waiting_bytes: 0, running: None }
    }

    async fn wrote(&mut self, pool: &Pool, temp: &TempFile, bytes: usize) -> Result<(), Error> {
        self.waiting_bytes += bytes;
        let is_due = self.is_wanted && self.waiting_bytes >= WRITEBACK_BYTES;
        if !is_due || self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        self.end().await?;
        self.waiting_bytes = 0;
        let (pool, file) = (pool.clone(), temp.file().clone());
        let sync = move || file.sync_data().map_err(|error| Error::disk("write an object", error));
        self.running = Some(tokio::spawn(async move { pool.run(sync).await }));
        Ok(())
    }

    /// A failure has to be noticed here: the kernel reports a lost write once.
    async fn end(&mut self) -> Result<(), Error> {
        match self.running.take() {
            None => Ok(()),
            Some(running) => running
                .await
                .unwrap_or_else(|error| Err(Error::Disk { action: "write an object", source: error.into() })),
        }
    }
}

fn write(temp: &mut TempFile, piece: &Piece) -> Result<(), Error> {
    temp.write(&piece.chunks).map_err(|error| Error::disk("write an object", error))
}

impl Files {
    /// Puts a written file in its place, if the condition holds.
    fn commit(&self, temp: TempFile, target: Target) -> Result<Stored, Error> {
        let Target { key, condition, content_type } = target;
        if let Some(content_type) = &content_type {
            read::keep_content_type(temp.file(), content_type);
        }
        let metadata =
            temp.seal(self.clock.tick(), self.fsync).map_err(|error| Error::disk("write an object", error))?;
        let path = self.path(&key);
        let folder = path.parent().unwrap_or(&self.directory.objects);
        let mut made = folders::Made::default();
        let present = {
            let _alone = self.lock(&key);
            let present = self.check(&key, &path, &condition)?;
            self.folders
                .place_in(folder, &mut made, || std::fs::rename(temp.path(), &path))
                .map_err(|error| Error::disk("put an object in its place", error))?;
            present
        };
        temp.moved();
        self.folders.settle(folder, made).map_err(|error| Error::disk("make an object durable", error))?;
        Ok(Stored { bytes: metadata.len(), etag: etag(&metadata), created: Some(present.is_none()) })
    }

    /// A copy of its own, with a time of its own: not a link, as what collects old objects goes by
    /// the time.
    pub(super) fn copy(&self, source: &ObjectKey, target: ObjectKey, condition: &Condition) -> Result<Stored, Error> {
        let (mut file, meta) = self.open_file(source)?;
        if !condition.holds(Some(&meta.etag)) {
            return Err(Error::ConditionFailed { key: source.to_string() });
        }
        let exists = || Error::AlreadyExists { key: target.to_string() };
        if self.check(&target, &self.path(&target), &Condition::Absent).is_err() {
            return Err(exists());
        }
        let temp = self.new_temp()?;
        // copy_file_range: within the kernel, and shared blocks where the file system can.
        std::io::copy(&mut file, &mut temp.file().as_ref()).map_err(|error| Error::disk("copy an object", error))?;
        let exists = exists();
        let target = Target { key: target, condition: Condition::Absent, content_type: Some(meta.content_type) };
        self.commit(temp, target).map_err(|error| match error {
            Error::ConditionFailed { .. } => exists,
            other => other,
        })
    }
}
