//! Recovery: what the segments of a folder are, one after the other.

use std::fs::File;

use super::LogError;
use super::folder::Folder;
use super::format::segment_name;
use super::replay::{Apply, Place, Replayed, replay};
use super::segment::Segment;
use super::wal::{Cut, Recovery};

/// A segment that takes no more records.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) first_lsn: u64,
    pub(super) bytes: u64,
}

/// What recovery has found so far.
pub(super) struct Found<'a, 'b> {
    pub(super) folder: &'a Folder,
    pub(super) from_lsn: u64,
    pub(super) apply: &'a mut Apply<'b>,
    pub(super) recovery: Recovery,
    pub(super) closed: Vec<Closed>,
    /// Of the record that has to come next.
    pub(super) next_lsn: u64,
}

impl Found<'_, '_> {
    /// Reads the segments (their first lsns, in order) and gives the one to go on with.
    pub(super) fn read(&mut self, segments: &[u64]) -> Result<Segment, LogError> {
        let Some((last, earlier)) = segments.split_last() else {
            return Segment::create(self.folder, self.from_lsn);
        };
        let skipped = segments[1..].iter().take_while(|second| **second <= self.from_lsn).count();
        for first_lsn in &earlier[..skipped] {
            let name = segment_name(*first_lsn);
            let file = self.folder.open_file(&name, false)?;
            let bytes = file.metadata().map_err(LogError::io("read", &name))?.len();
            self.closed.push(Closed { first_lsn: *first_lsn, bytes });
        }
        for first_lsn in &earlier[skipped..] {
            let file = self.folder.open_file(&segment_name(*first_lsn), false)?;
            if let Replayed::Whole { end, .. } = self.replay(&file, *first_lsn, false)? {
                self.closed.push(Closed { first_lsn: *first_lsn, bytes: end });
            }
        }
        self.read_last(*last)
    }

    fn read_last(&mut self, first_lsn: u64) -> Result<Segment, LogError> {
        let name = segment_name(first_lsn);
        let file = self.folder.open_file(&name, true)?;
        if self.folder.fsync() {
            // Records that a killed process had only in the page cache are about to be relied on. And after
            // a sync that failed, the cache may hold what the disk does not: read what the disk has.
            file.sync_data().map_err(LogError::io("sync", &name))?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
                .map_err(|error| LogError::io("read", &name)(error.into()))?;
        }
        let replayed = self.replay(&file, first_lsn, true)?;
        if self.next_lsn < self.from_lsn {
            return Err(self.discontinuous(name, self.from_lsn, self.next_lsn));
        }
        match replayed {
            Replayed::Whole { header, end, torn_bytes, .. } => {
                if torn_bytes > 0 {
                    self.recovery.cut = Some(Cut { segment: name, offset: end, bytes: torn_bytes });
                }
                Segment::resume(file, header, end, self.folder.fsync())
            }
            Replayed::Unborn => {
                self.folder.remove(&name)?;
                Segment::create(self.folder, first_lsn)
            }
        }
    }

    fn replay(&mut self, file: &File, first_lsn: u64, is_last: bool) -> Result<Replayed, LogError> {
        // The first one that is read may begin earlier than what is wanted, but not later.
        let begins_before = first_lsn <= self.from_lsn;
        if !begins_before && first_lsn != self.next_lsn {
            return Err(self.discontinuous(segment_name(first_lsn), self.next_lsn, first_lsn));
        }
        let records = &mut self.recovery.records;
        let place = Place { index: self.folder.index(), first_lsn, is_last };
        let replayed = replay(file, place, self.from_lsn, &mut |lsn, payload| {
            *records += 1;
            (self.apply)(lsn, payload)
        })?;
        self.next_lsn = match &replayed {
            Replayed::Whole { next_lsn, .. } => *next_lsn,
            Replayed::Unborn => first_lsn,
        };
        Ok(replayed)
    }

    fn discontinuous(&self, segment: String, expected: u64, found: u64) -> LogError {
        LogError::Discontinuous { segment, expected, found }
    }
}
