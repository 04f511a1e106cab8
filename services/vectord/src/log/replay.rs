//! Reading a segment from its first record to its last whole one.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::LogError;
use super::format::{
    IndexId, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, Unreadable, segment_name,
};
use super::tail::{self, Damage};

const BUFFER_BYTES: usize = 256 << 10;

/// Takes in one record at recovery: its lsn and payload.
pub(super) type Apply<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a;

/// What a segment held.
#[derive(Debug)]
pub(super) enum Replayed {
    /// It was never finished being made: there has been no record in it.
    Unborn,
    /// Whole records up to `end`.
    Whole {
        header: SegmentHeader,
        end: u64,
        /// Of the record to come next.
        next_lsn: u64,
        /// Bytes behind the end that a crash left and that are more than zeros.
        torn_bytes: u64,
    },
}

/// Where a segment stands in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) index: IndexId,
    pub(super) first_lsn: u64,
    /// Only the last segment can have been written when the process ended.
    pub(super) is_last: bool,
}

/// Gives `apply` every record from `from_lsn` on.
pub(super) fn replay(file: &File, place: Place, from_lsn: u64, apply: &mut Apply<'_>) -> Result<Replayed, LogError> {
    let name = segment_name(place.first_lsn);
    let read_error = || LogError::io("read", &name);
    let file_bytes = file.metadata().map_err(read_error())?.len();
    let Some(header) = read_header(file, file_bytes, place, &name)? else { return Ok(Replayed::Unborn) };
    let mut records = Records::new(file, file_bytes, header.seed()).map_err(read_error())?;
    let mut lsn = place.first_lsn;
    let stop = loop {
        match records.next(lsn).map_err(read_error())? {
            Next::Record => {
                if lsn >= from_lsn {
                    apply(lsn, &records.payload).map_err(|source| LogError::Apply { lsn, source })?;
                }
                lsn += 1;
            }
            stop => break stop,
        }
    };
    let end = records.offset;
    let corrupt = || LogError::Corrupt { segment: name.clone(), offset: end };
    let mut torn_bytes = 0;
    if let Next::Bad { search_from } = stop {
        if !place.is_last {
            return Err(corrupt());
        }
        let damage = Damage { file, seed: header.seed(), offset: end, lsn, file_bytes };
        if tail::is_zero(file, end, file_bytes).map_err(read_error())? {
            // Space made ready and not used.
        } else if damage.is_of_a_crash(search_from).map_err(read_error())? {
            torn_bytes = file_bytes - end;
        } else {
            return Err(corrupt());
        }
    }
    Ok(Replayed::Whole { header, end, next_lsn: lsn, torn_bytes })
}

/// `None` where the segment's making was cut short.
fn read_header(file: &File, file_bytes: u64, place: Place, name: &str) -> Result<Option<SegmentHeader>, LogError> {
    let read_error = || LogError::io("read", name);
    let is_short = file_bytes < SEGMENT_HEADER_BYTES as u64;
    if place.is_last && (is_short || tail::is_zero(file, 0, file_bytes).map_err(read_error())?) {
        return Ok(None);
    }
    if is_short {
        return Err(LogError::unreadable(name, Unreadable::Damaged));
    }
    let bytes = tail::read_array(file, 0).map_err(read_error())?;
    let header = SegmentHeader::decode(&bytes).map_err(|why| LogError::unreadable(name, why))?;
    if header.index != place.index {
        return Err(LogError::Foreign { file: name.to_owned() });
    }
    if header.first_lsn != place.first_lsn {
        return Err(LogError::unreadable(name, Unreadable::Damaged));
    }
    Ok(Some(header))
}

enum Next {
    /// Its payload has been read.
    Record,
    /// The file ends behind the last record.
    End,
    /// No whole record of this number. What may follow it begins at `search_from` or later.
    Bad { search_from: u64 },
}

/// Reads one record after the other, with the memory of one.
struct Records<'a> {
    reader: BufReader<&'a File>,
    seed: u32,
    /// Where the next record begins.
    offset: u64,
    file_bytes: u64,
    payload: Vec<u8>,
}

impl<'a> Records<'a> {
    fn new(mut file: &'a File, file_bytes: u64, seed: u32) -> io::Result<Self> {
        let offset = file.seek(SeekFrom::Start(SEGMENT_HEADER_BYTES as u64))?;
        let reader = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Records { reader, seed, offset, file_bytes, payload: Vec::new() })
    }

    fn next(&mut self, lsn: u64) -> io::Result<Next> {
        let left = self.file_bytes - self.offset;
        if left == 0 {
            return Ok(Next::End);
        }
        let unknown = Next::Bad { search_from: self.offset };
        if left < RECORD_HEADER_BYTES as u64 {
            return Ok(unknown);
        }
        let mut bytes = [0; RECORD_HEADER_BYTES];
        self.reader.read_exact(&mut bytes)?;
        let Some(header) = RecordHeader::decode(&bytes, self.seed).filter(|header| header.lsn == lsn) else {
            return Ok(unknown);
        };
        // From here on the length is known to be what was written.
        let bad = Next::Bad { search_from: self.offset + header.record_bytes() };
        if left < header.record_bytes() {
            return Ok(bad);
        }
        self.payload.resize(header.payload_bytes as usize, 0);
        self.reader.read_exact(&mut self.payload)?;
        if crc32c::crc32c(&self.payload) != header.payload_crc {
            return Ok(bad);
        }
        self.offset += header.record_bytes();
        Ok(Next::Record)
    }
}
