//! What lies behind the last whole record: left by a crash, or damage?
//!
//! A killed process leaves the beginning of what it was writing. A power cut may also leave holes in all
//! that was not synced: the disk wrote a later sector and not an earlier one, which reads as zeros. Neither
//! touches what was synced. So the tail is a crash's if no record follows; or if every record that follows
//! was written before the unreadable one was known to be on the disk, and a sector of zeros lies between.
//! Anything else is damage, and nothing is cut.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::{RECORD_HEADER_BYTES, RecordHeader};
use super::group::ZEROS;

/// The smallest unit that disks write.
const SECTOR_BYTES: u64 = 512;
const WINDOW_BYTES: usize = 256 << 10;

/// A place where a record was expected and none could be read.
pub(super) struct Damage<'a> {
    pub(super) file: &'a File,
    /// Of the segment's record headers.
    pub(super) seed: u32,
    pub(super) offset: u64,
    /// Of the record that was expected.
    pub(super) lsn: u64,
    pub(super) file_bytes: u64,
}

impl Damage<'_> {
    /// Whether a crash explains it; records that follow are looked for from `search_from` on.
    pub(super) fn is_of_a_crash(&self, search_from: u64) -> io::Result<bool> {
        let mut from = search_from;
        let mut is_first = true;
        while let Some((offset, header)) = self.find_record(from)? {
            let was_synced = header.synced_lsn > self.lsn;
            if was_synced || (is_first && !self.lost_a_sector(offset)?) {
                return Ok(false);
            }
            is_first = false;
            from = offset + header.record_bytes();
        }
        Ok(true)
    }

    /// The first record header at `from` or behind.
    fn find_record(&self, from: u64) -> io::Result<Option<(u64, RecordHeader)>> {
        let mut window = vec![0; WINDOW_BYTES];
        let mut from = from;
        while from + RECORD_HEADER_BYTES as u64 <= self.file_bytes {
            let window = &mut window[..(self.file_bytes - from).min(WINDOW_BYTES as u64) as usize];
            self.file.read_exact_at(window, from)?;
            let is_later = |bytes| RecordHeader::decode(bytes, self.seed).filter(|header| header.lsn >= self.lsn);
            let found = window.array_windows().enumerate().find_map(|(at, bytes)| Some((at, is_later(bytes)?)));
            if let Some((at, header)) = found {
                return Ok(Some((from + at as u64, header)));
            }
            from += (window.len() - (RECORD_HEADER_BYTES - 1)) as u64;
        }
        Ok(None)
    }

    /// Whether a sector between the unreadable record's begin and `to` is empty, or the rest of the one in
    /// which it begins: what is before it there came with an earlier write.
    fn lost_a_sector(&self, to: u64) -> io::Result<bool> {
        let mut at = self.offset;
        loop {
            let sector_end = (at + 1).next_multiple_of(SECTOR_BYTES);
            if sector_end > to {
                return Ok(false);
            }
            if is_zero(self.file, at, sector_end)? {
                return Ok(true);
            }
            at = sector_end;
        }
    }
}

/// Whether there is nothing but zeros from `from` up to `to`.
pub(super) fn is_zero(file: &File, from: u64, to: u64) -> io::Result<bool> {
    let mut window = vec![0; (to - from).min(WINDOW_BYTES as u64) as usize];
    let mut at = from;
    while at < to {
        let window = &mut window[..(to - at).min(WINDOW_BYTES as u64) as usize];
        file.read_exact_at(window, at)?;
        if *window != ZEROS[..window.len()] {
            return Ok(false);
        }
        at += window.len() as u64;
    }
    Ok(true)
}

pub(super) fn read_array<const N: usize>(file: &File, offset: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
