//! The segment that records are appended to.
//!
//! An fdatasync of written blocks within the file's size is a write and a flush; one of new blocks, of
//! blocks that `fallocate` reserved (they turn from unwritten to written) or of a changed size is a commit
//! of the file system's journal besides, on ext4 and xfs alike. So a short group takes zeros with it up to
//! the next step, and the groups after it overwrite those: measured on ext4 with 64 KiB groups, half the
//! time of plain appends and of both kinds of `fallocate`. A group of a step or more pays for one commit
//! with a long write, and would only write everything twice.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::LogError;
use super::folder::Folder;
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::group::{Group, ZEROS_BYTES_MAX};

/// Zeros are written up to multiples of this.
const STEP_BYTES: u64 = ZEROS_BYTES_MAX as u64;

#[derive(Debug)]
pub(super) struct Segment {
    name: String,
    file: File,
    first_lsn: u64,
    seed: u32,
    /// Behind the last record.
    end: u64,
    /// Behind the last record that is on the disk.
    synced_end: u64,
    /// Behind the zeros.
    zeroed_end: u64,
    fsync: bool,
}

impl Segment {
    /// A new one, on the disk under its name before it takes a record. After an error there is none, if
    /// the file could be removed again.
    pub(super) fn create(folder: &Folder, first_lsn: u64) -> Result<Self, LogError> {
        let name = segment_name(first_lsn);
        let file = folder.create(&name)?;
        let header = SegmentHeader { index: folder.index(), first_lsn };
        let fsync = folder.fsync();
        let end = SEGMENT_HEADER_BYTES as u64;
        let made = file
            .write_all_at(&header.encode(), 0)
            .and_then(|()| if fsync { file.sync_all() } else { Ok(()) })
            .map_err(LogError::io("write", &name))
            .and_then(|()| folder.sync());
        if let Err(error) = made {
            // The caller looks whether it is gone.
            let _first_error_counts = folder.remove(&name);
            return Err(error);
        }
        Ok(Segment { name, file, first_lsn, seed: header.seed(), end, synced_end: end, zeroed_end: end, fsync })
    }

    /// One that was there, to go on at `end`; whatever lies behind is dropped for good, so that it can
    /// never be taken for something written later.
    pub(super) fn resume(file: File, header: SegmentHeader, end: u64, fsync: bool) -> Result<Self, LogError> {
        let SegmentHeader { index: _, first_lsn } = header;
        let name = segment_name(first_lsn);
        let mut segment =
            Segment { name, file, first_lsn, seed: header.seed(), end, synced_end: end, zeroed_end: end, fsync };
        segment.seal()?;
        Ok(segment)
    }

    pub(super) fn first_lsn(&self) -> u64 {
        self.first_lsn
    }

    pub(super) fn seed(&self) -> u32 {
        self.seed
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether it has no record yet.
    pub(super) fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER_BYTES as u64
    }

    /// After an error, a part of the group may lie behind the end: see [`Segment::undo`].
    pub(super) fn append(&mut self, group: &Group<'_>) -> Result<(), LogError> {
        let end = self.end + group.bytes();
        let is_beyond_zeros = end > self.zeroed_end;
        let zeros =
            if is_beyond_zeros && group.bytes() < STEP_BYTES { end.next_multiple_of(STEP_BYTES) - end } else { 0 };
        let (written, outcome) = group.write(&self.file, self.end, zeros as usize);
        if written < group.bytes() {
            return outcome.map_err(LogError::io("append to", &self.name));
        }
        // Zeros that found no room are only the slower way.
        self.zeroed_end = self.zeroed_end.max(self.end + written);
        self.end = end;
        Ok(())
    }

    /// Drops what a failed append left.
    pub(super) fn undo(&mut self) -> Result<(), LogError> {
        self.cut(self.end)
    }

    /// Drops what is not on the disk for certain.
    pub(super) fn undo_unsynced(&mut self) -> Result<(), LogError> {
        self.end = self.synced_end;
        self.cut(self.end)
    }

    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        if self.fsync && self.synced_end < self.end {
            self.file.sync_data().map_err(LogError::io("sync", &self.name))?;
        }
        self.synced_end = self.end;
        Ok(())
    }

    /// Drops the zeros and has all the rest on the disk.
    pub(super) fn seal(&mut self) -> Result<(), LogError> {
        self.cut(self.end)?;
        if self.fsync {
            self.file.sync_all().map_err(LogError::io("sync", &self.name))?;
        }
        self.synced_end = self.end;
        Ok(())
    }

    /// Has what comes next go to a file that fails.
    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: File) {
        self.file = file;
    }

    fn cut(&mut self, end: u64) -> Result<(), LogError> {
        self.file.set_len(end).map_err(LogError::io("cut", &self.name))?;
        self.zeroed_end = end;
        Ok(())
    }
}
