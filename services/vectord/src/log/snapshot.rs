//! One snapshot's file, written and read under a checksum.

use std::fs::File;
use std::io::{self, BufReader, Read, Take, Write};
use std::os::unix::fs::FileExt;

use super::LogError;
use super::folder::Folder;
use super::format::{TRAILER_BYTES, Trailer, Unreadable, snapshot_name, temp_name};
use super::tail::read_array;

const BUFFER_BYTES: usize = 1 << 20;

/// After so much the disk is made to write: one sync of a whole snapshot would have the log's syncs wait
/// behind it for seconds.
const WRITEBACK_BYTES: u64 = 64 << 20;

/// A snapshot while it is written; a temporary file, removed unless it becomes one by
/// [`Snapshots::checkpoint`](super::Snapshots::checkpoint).
#[derive(Debug)]
pub(crate) struct SnapshotWriter {
    temp: Temp,
    buffer: Vec<u8>,
    /// Of what is in the file.
    bytes: u64,
    crc: u32,
    synced_bytes: u64,
}

impl SnapshotWriter {
    pub(super) fn create(folder: &Folder, lsn: u64) -> Result<Self, LogError> {
        let file = folder.create(&temp_name(lsn))?;
        let temp = Temp { folder: folder.clone(), file, lsn, is_placed: false };
        Ok(SnapshotWriter { temp, buffer: Vec::with_capacity(BUFFER_BYTES), bytes: 0, crc: 0, synced_bytes: 0 })
    }

    /// Ends the content and has it on the disk; the slow part of a checkpoint, which needs no log.
    ///
    /// # Errors
    /// Those of file operations; [`LogError::NoSpace`] among them.
    pub(crate) fn seal(mut self) -> Result<SealedSnapshot, LogError> {
        let name = snapshot_name(self.temp.lsn);
        self.flush().map_err(LogError::io("write", &name))?;
        let Temp { folder, file, lsn, .. } = &self.temp;
        let trailer = Trailer { index: folder.index(), lsn: *lsn, content_bytes: self.bytes, content_crc: self.crc };
        file.write_all_at(&trailer.encode(), self.bytes).map_err(LogError::io("write", &name))?;
        if folder.fsync() {
            file.sync_all().map_err(LogError::io("sync", &name))?;
        }
        Ok(SealedSnapshot { temp: self.temp })
    }

    /// Counts only what was written whole, so that a write may be tried again after an error.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.temp.file.write_all_at(bytes, self.bytes)?;
        self.bytes += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        if self.temp.folder.fsync() && self.bytes - self.synced_bytes >= WRITEBACK_BYTES {
            self.temp.file.sync_data()?;
            self.synced_bytes = self.bytes;
        }
        Ok(())
    }
}

impl Write for SnapshotWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.put(bytes)?;
        } else {
            self.buffer.extend(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = self.put(&buffer);
        if outcome.is_ok() {
            buffer.clear();
        }
        self.buffer = buffer;
        outcome
    }
}

/// A snapshot that is whole on the disk, and not in its place yet.
#[derive(Debug)]
pub(crate) struct SealedSnapshot {
    temp: Temp,
}

impl SealedSnapshot {
    /// The records before this one are in it.
    pub(crate) fn lsn(&self) -> u64 {
        self.temp.lsn
    }

    pub(super) fn place(mut self) -> Result<(), LogError> {
        let Temp { folder, lsn, .. } = &self.temp;
        folder.rename(&temp_name(*lsn), &snapshot_name(*lsn))?;
        folder.sync()?;
        self.temp.is_placed = true;
        Ok(())
    }
}

#[derive(Debug)]
struct Temp {
    folder: Folder,
    file: File,
    lsn: u64,
    is_placed: bool,
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.is_placed {
            // What cannot be removed now is removed at the next start.
            let _only_costs_space = self.folder.remove(&temp_name(self.lsn));
        }
    }
}

/// Reads a snapshot's content; whether it was good is known at its end, by [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct SnapshotReader {
    name: String,
    content: Take<BufReader<File>>,
    crc: u32,
    trailer: Trailer,
}

impl SnapshotReader {
    /// Opens one whose trailer is whole.
    pub(super) fn open(folder: &Folder, lsn: u64) -> Result<Self, LogError> {
        let name = snapshot_name(lsn);
        let bad = |reason| LogError::BadSnapshot { file: snapshot_name(lsn), reason };
        let file = folder.open_file(&name, false)?;
        let file_bytes = file.metadata().map_err(LogError::io("read", &name))?.len();
        let content_bytes = file_bytes.checked_sub(TRAILER_BYTES as u64).ok_or(bad("it is too short"))?;
        let trailer = read_array(&file, content_bytes).map_err(LogError::io("read", &name))?;
        let trailer = Trailer::decode(&trailer).map_err(|why| match why {
            Unreadable::Damaged => bad("it does not end as one"),
            Unreadable::Version(version) => LogError::Version { file: name.clone(), version },
        })?;
        if trailer.index != folder.index() {
            return Err(LogError::Foreign { file: name });
        }
        if trailer.lsn != lsn || trailer.content_bytes != content_bytes {
            return Err(bad("its length or number is not the one it was written with"));
        }
        let content = BufReader::with_capacity(BUFFER_BYTES, file).take(content_bytes);
        Ok(SnapshotReader { name, content, crc: 0, trailer })
    }

    /// Reads what is left and says whether all that was read is what had been written.
    ///
    /// # Errors
    /// [`LogError::BadSnapshot`] if it is not; what was made of the content must not be used then. Those of
    /// file operations.
    pub(crate) fn finish(mut self) -> Result<(), LogError> {
        let mut rest = vec![0; BUFFER_BYTES];
        while self.read(&mut rest).map_err(LogError::io("read", &self.name))? > 0 {}
        if self.content.limit() > 0 || self.crc != self.trailer.content_crc {
            return Err(LogError::BadSnapshot { file: self.name, reason: "its checksum is wrong" });
        }
        Ok(())
    }
}

impl Read for SnapshotReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes[..read]);
        Ok(read)
    }
}
