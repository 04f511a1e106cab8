//! A group of records on its way into a segment.

use std::fs::File;
use std::io::{self, IoSlice};

use super::format::{RECORD_HEADER_BYTES, RecordHeader};

/// Payloads up to this are copied next to their headers: a slice of their own would cost more.
const COPIED_BYTES_MAX: usize = 8 << 10;

/// What empty space is made of.
pub(super) static ZEROS: [u8; ZEROS_BYTES_MAX] = [0; ZEROS_BYTES_MAX];
pub(super) const ZEROS_BYTES_MAX: usize = 1 << 20;

/// Records as they will lie in the segment: headers and short payloads in one buffer, long payloads where
/// the caller has them.
#[derive(Debug)]
pub(super) struct Group<'a> {
    staged: Vec<u8>,
    /// Long payloads, each with how much of the buffer goes before it.
    long: Vec<(usize, &'a [u8])>,
    bytes: u64,
}

impl<'a> Group<'a> {
    /// `staged` is a buffer to use again.
    pub(super) fn new(mut staged: Vec<u8>) -> Self {
        staged.clear();
        Group { staged, long: Vec::new(), bytes: 0 }
    }

    /// `payload_bytes` is the payload's length as the format has it.
    pub(super) fn push(&mut self, payload: &'a [u8], payload_bytes: u32, lsn: u64, synced_lsn: u64, seed: u32) {
        let header = RecordHeader { payload_bytes, payload_crc: crc32c::crc32c(payload), lsn, synced_lsn };
        self.staged.extend(header.encode(seed));
        if payload.len() > COPIED_BYTES_MAX {
            self.long.push((self.staged.len(), payload));
        } else {
            self.staged.extend(payload);
        }
        self.bytes += header.record_bytes();
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.staged
    }

    /// Writes it and `zeros` (at most [`ZEROS_BYTES_MAX`]) behind it; how much got there, and why not all.
    pub(super) fn write(&self, file: &File, offset: u64, zeros: usize) -> (u64, io::Result<()>) {
        let mut slices = Vec::with_capacity(2 * self.long.len() + 2);
        let mut staged = 0;
        for (before, payload) in &self.long {
            slices.extend([IoSlice::new(&self.staged[staged..*before]), IoSlice::new(payload)]);
            staged = *before;
        }
        slices.extend([IoSlice::new(&self.staged[staged..]), IoSlice::new(&ZEROS[..zeros])]);
        write_all_at(file, &mut slices, offset)
    }
}

/// How many bytes `payloads` take as records.
pub(super) fn records_bytes(payloads: impl Iterator<Item = u64>) -> u64 {
    payloads.map(|bytes| RECORD_HEADER_BYTES as u64 + bytes).sum()
}

fn write_all_at(file: &File, mut rest: &mut [IoSlice<'_>], offset: u64) -> (u64, io::Result<()>) {
    let mut written = 0;
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        // Of more slices than a system call takes (1,024), rustix gives it as many as that.
        match rustix::io::pwritev(file, rest, offset + written) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => {
                written += more as u64;
                IoSlice::advance_slices(&mut rest, more);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return (written, Err(error.into())),
        }
    }
    (written, Ok(()))
}
