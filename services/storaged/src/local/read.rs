//! Reading objects.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use tokio::task::JoinHandle;

use super::pool::Pool;
use super::{Files, Local, etag, is_absence};
use crate::Error;
use crate::content_type;
use crate::key::ObjectKey;
use crate::store::{Object, ObjectBody, ObjectMeta, Read, Selection};

/// So much is read together with the opening, with one change of threads.
const SHORT_BYTES: u64 = 256 << 10;
/// Of a longer object, so much at a time, one piece ahead of what is being sent.
const PIECE_BYTES: u64 = 1 << 20;

const CONTENT_TYPE_ATTRIBUTE: &str = "user.lakehouse.content_type";

/// Keeps the stated type with the file. Where the file system has no attributes, the type is
/// that of the key's extension.
pub(super) fn keep_content_type(file: &File, content_type: &str) {
    if let Err(error) = fsetxattr(file, CONTENT_TYPE_ATTRIBUTE, content_type.as_bytes(), XattrFlags::empty()) {
        tracing::debug!(%error, "the content type is not kept");
    }
}

fn kept_content_type(file: &File, key: &ObjectKey) -> String {
    let mut buffer = [0; content_type::BYTES_MAX];
    let kept = fgetxattr(file, CONTENT_TYPE_ATTRIBUTE, &mut buffer[..]).ok();
    let kept = kept.and_then(|bytes| std::str::from_utf8(&buffer[..bytes]).ok());
    kept.unwrap_or_else(|| content_type::of_key(key)).to_owned()
}

impl Files {
    pub(super) fn open_file(&self, key: &ObjectKey) -> Result<(File, ObjectMeta), Error> {
        let opened = File::open(self.path(key)).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = opened.map_err(|error| match is_absence(&error) {
            true => Error::NotFound { key: key.to_string() },
            false => Error::disk("open an object", error),
        })?;
        let modified = metadata.modified().map_err(|error| Error::disk("look at an object", error))?;
        let meta = ObjectMeta {
            key: key.clone(),
            bytes: metadata.len(),
            etag: etag(&metadata),
            modified,
            content_type: kept_content_type(&file, key),
        };
        Ok((file, meta))
    }

    pub(super) fn meta(&self, key: &ObjectKey) -> Result<ObjectMeta, Error> {
        self.open_file(key).map(|(_, meta)| meta)
    }
}

impl Local {
    pub(super) async fn open_object(&self, key: ObjectKey, read: Read) -> Result<Object, Error> {
        let (file, meta, selection, short) = self
            .run(move |files| {
                let (file, meta) = files.open_file(&key)?;
                let selection = read.select(&meta)?;
                let wanted = wanted(&selection, meta.bytes);
                let short = match wanted.end - wanted.start {
                    bytes if bytes <= SHORT_BYTES => Some(read_piece(&file, wanted)?),
                    _ => None,
                };
                Ok((file, meta, selection, short))
            })
            .await?;
        let body = match short {
            Some(bytes) => ObjectBody::Short(bytes),
            None => {
                let pieces = Pieces::start(self.pool.clone(), file, wanted(&selection, meta.bytes));
                ObjectBody::Stream(stream::unfold(pieces, Pieces::next).boxed())
            }
        };
        Ok(Object { meta, selection, body })
    }
}

fn wanted(selection: &Selection, bytes: u64) -> Range<u64> {
    match selection {
        Selection::Whole => 0..bytes,
        Selection::Part(range) => range.clone(),
        Selection::NotModified => 0..0,
    }
}

fn read_piece(file: &File, range: Range<u64>) -> Result<Bytes, Error> {
    let failed = |error| Error::disk("read an object", error);
    // Pieces are short: at most PIECE_BYTES.
    let wanted = (range.end - range.start) as usize;
    let mut buffer = Vec::with_capacity(wanted);
    while buffer.len() < wanted {
        let at = range.start + buffer.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => return Err(failed(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    // The allocation may be larger than was asked for, and the file longer.
    buffer.truncate(wanted);
    Ok(buffer.into())
}

/// The pieces of a long object, each read while the one before is sent.
struct Pieces {
    pool: Pool,
    file: Arc<File>,
    rest: Range<u64>,
    ahead: Option<JoinHandle<Result<Bytes, Error>>>,
}

impl Pieces {
    fn start(pool: Pool, file: File, wanted: Range<u64>) -> Self {
        let mut pieces = Pieces { pool, file: Arc::new(file), rest: wanted, ahead: None };
        pieces.read_ahead();
        pieces
    }

    fn read_ahead(&mut self) {
        if self.rest.is_empty() {
            return;
        }
        let piece = self.rest.start..self.rest.end.min(self.rest.start + PIECE_BYTES);
        self.rest.start = piece.end;
        let (pool, file) = (self.pool.clone(), self.file.clone());
        self.ahead = Some(tokio::spawn(async move { pool.run(move || read_piece(&file, piece)).await }));
    }

    async fn next(mut self) -> Option<(Result<Bytes, Error>, Self)> {
        let read = self.ahead.take()?.await;
        let piece = read.unwrap_or_else(|error| Err(Error::Disk { action: "read an object", source: error.into() }));
        if piece.is_ok() {
            self.read_ahead();
        }
        Some((piece, self))
    }
}
