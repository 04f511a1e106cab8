//! A request body out of what blocks: a file, standard input, a generator.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures::stream;
use indicatif::ProgressBar;
use reqwest::Body;
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::progress;

const CHUNK_BYTES: usize = 256 << 10;
/// Enough that reading and sending overlap.
const CHUNKS_AHEAD: usize = 4;

/// Sends the chunks as fast as they are taken, from a thread that may block.
pub(crate) fn body(chunks: impl Iterator<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        for chunk in chunks {
            if sender.blocking_send(chunk).is_err() {
                // The request has ended.
                return;
            }
        }
    });
    let next = |mut receiver: mpsc::Receiver<io::Result<Bytes>>| async {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    };
    Body::wrap_stream(stream::unfold(receiver, next))
}

/// What a reader holds, in chunks.
pub(crate) fn chunks(mut reader: impl Read) -> impl Iterator<Item = io::Result<Bytes>> {
    std::iter::from_fn(move || {
        let mut chunk = BytesMut::zeroed(CHUNK_BYTES);
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => {
                    chunk.truncate(length);
                    return Some(Ok(chunk.freeze()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

/// A file, or standard input for `-`, as a body that is read while it is sent, with its length where it is known.
pub(crate) fn file(path: &Path) -> Result<(Body, Option<u64>, ProgressBar), Failure> {
    if path == Path::new("-") {
        let progress = progress::of_bytes(None);
        return Ok((body(chunks(progress.wrap_read(io::stdin()))), None, progress));
    }
    let unreadable = |error: io::Error| Failure::local(format!("cannot read {}", path.display()), error);
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if found.is_dir() {
        return Err(Failure::Usage(format!("{} is a directory", path.display())));
    }
    let length = found.is_file().then_some(found.len());
    let progress = progress::of_bytes(length);
    Ok((body(chunks(progress.wrap_read(file))), length, progress))
}
