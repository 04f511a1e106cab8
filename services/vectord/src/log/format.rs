//! The bytes of a log and of a snapshot's end: little-endian numbers, each block under a CRC32C.
//!
//! Segment header: `LKWL`, version byte, index id (16), first lsn (u64), CRC32C of all before.
//! Record header: `0xA7`, payload length (u32), CRC32C of the payload, lsn (u64), synced lsn (u64), CRC32C of
//! all before in this header; then the payload.
//! Snapshot trailer, behind the content: `LKSN`, version byte, index id (16), lsn (u64), content length
//! (u64), CRC32C of the content, CRC32C of the trailer before.
//!
//! A record header is checked apart from its payload: a length can be relied on before so much is read,
//! and what lies behind a damaged payload is found without searching it. Its CRC starts from that of the
//! segment header, so that a record of another segment, or one that a client put into a payload, is none
//! here. The **synced lsn** says which records were on the disk for certain when this one was written: by
//! it, recovery tells damage from a group of writes that a power cut left with holes. The first byte is not
//! zero, so that no part of a sector in which a record begins looks like a hole.

/// The number of the first record of an index. A snapshot of this lsn is of an empty index.
pub(crate) const LSN_FIRST: u64 = 1;

pub(super) const VERSION: u8 = 1;
const SEGMENT_MAGIC: [u8; 4] = *b"LKWL";
const RECORD_MARK: u8 = 0xA7;
const SNAPSHOT_MAGIC: [u8; 4] = *b"LKSN";
const SEGMENT_PREFIX: &str = "wal-";
const SEGMENT_SUFFIX: &str = ".log";
const SNAPSHOT_PREFIX: &str = "snapshot-";
const TEMP_PREFIX: &str = ".tmp-";
const LSN_DIGITS: usize = 20;

pub(super) const SEGMENT_HEADER_BYTES: usize = 33;
pub(super) const RECORD_HEADER_BYTES: usize = 29;
pub(super) const TRAILER_BYTES: usize = 45;

/// Which index a file belongs to: a UUID's bytes.
pub(crate) type IndexId = [u8; 16];

/// What a segment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) index: IndexId,
    pub(super) first_lsn: u64,
}

/// Why the bytes are not what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    Damaged,
    /// Of a version that this code does not know.
    Version(u8),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..4].copy_from_slice(&SEGMENT_MAGIC);
        bytes[4] = VERSION;
        bytes[5..21].copy_from_slice(&self.index);
        bytes[21..29].copy_from_slice(&self.first_lsn.to_le_bytes());
        seal(&mut bytes, 0);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Self, Unreadable> {
        check_start(bytes, &SEGMENT_MAGIC)?;
        Ok(SegmentHeader { index: array(bytes, 5), first_lsn: u64::from_le_bytes(array(bytes, 21)) })
    }

    /// What the CRC of this segment's record headers starts from: its own. (A CRC over a block that ends
    /// with its CRC is the same for every block.)
    pub(super) fn seed(&self) -> u32 {
        u32::from_le_bytes(array(&self.encode(), SEGMENT_HEADER_BYTES - 4))
    }
}

/// What a record begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) payload_bytes: u32,
    pub(super) payload_crc: u32,
    pub(super) lsn: u64,
    /// Every record before this one was on the disk when the record was written.
    pub(super) synced_lsn: u64,
}

impl RecordHeader {
    pub(super) fn encode(&self, seed: u32) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [RECORD_MARK; RECORD_HEADER_BYTES];
        bytes[1..5].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[5..9].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[9..17].copy_from_slice(&self.lsn.to_le_bytes());
        bytes[17..25].copy_from_slice(&self.synced_lsn.to_le_bytes());
        seal(&mut bytes, seed);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; RECORD_HEADER_BYTES], seed: u32) -> Option<Self> {
        // The mark before the checksum: recovery may have to ask at every byte of a segment.
        (bytes[0] == RECORD_MARK && is_sealed(bytes, seed)).then(|| RecordHeader {
            payload_bytes: u32::from_le_bytes(array(bytes, 1)),
            payload_crc: u32::from_le_bytes(array(bytes, 5)),
            lsn: u64::from_le_bytes(array(bytes, 9)),
            synced_lsn: u64::from_le_bytes(array(bytes, 17)),
        })
    }

    /// Header and payload.
    pub(super) fn record_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + u64::from(self.payload_bytes)
    }
}

/// What a snapshot ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) index: IndexId,
    pub(super) lsn: u64,
    pub(super) content_bytes: u64,
    pub(super) content_crc: u32,
}

impl Trailer {
    pub(super) fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        bytes[..4].copy_from_slice(&SNAPSHOT_MAGIC);
        bytes[4] = VERSION;
        bytes[5..21].copy_from_slice(&self.index);
        bytes[21..29].copy_from_slice(&self.lsn.to_le_bytes());
        bytes[29..37].copy_from_slice(&self.content_bytes.to_le_bytes());
        bytes[37..41].copy_from_slice(&self.content_crc.to_le_bytes());
        seal(&mut bytes, 0);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; TRAILER_BYTES]) -> Result<Self, Unreadable> {
        check_start(bytes, &SNAPSHOT_MAGIC)?;
        Ok(Trailer {
            index: array(bytes, 5),
            lsn: u64::from_le_bytes(array(bytes, 21)),
            content_bytes: u64::from_le_bytes(array(bytes, 29)),
            content_crc: u32::from_le_bytes(array(bytes, 37)),
        })
    }
}

pub(super) fn segment_name(first_lsn: u64) -> String {
    format!("{SEGMENT_PREFIX}{first_lsn:0LSN_DIGITS$}{SEGMENT_SUFFIX}")
}

/// What the snapshot of an lsn is called; names sort by age.
pub(crate) fn snapshot_name(lsn: u64) -> String {
    format!("{SNAPSHOT_PREFIX}{lsn:0LSN_DIGITS$}")
}

/// What the snapshot is called while it is written.
pub(super) fn temp_name(lsn: u64) -> String {
    format!("{TEMP_PREFIX}{}", snapshot_name(lsn))
}

pub(super) fn segment_lsn(name: &str) -> Option<u64> {
    lsn(name.strip_prefix(SEGMENT_PREFIX)?.strip_suffix(SEGMENT_SUFFIX)?)
}

/// The inverse of [`snapshot_name`].
pub(crate) fn snapshot_lsn(name: &str) -> Option<u64> {
    lsn(name.strip_prefix(SNAPSHOT_PREFIX)?)
}

/// The lsn of a snapshot that was never finished.
pub(super) fn temp_lsn(name: &str) -> Option<u64> {
    snapshot_lsn(name.strip_prefix(TEMP_PREFIX)?)
}

/// Only in the one spelling that this code writes: no two names are of one number.
fn lsn(digits: &str) -> Option<u64> {
    let is_spelled_so = digits.len() == LSN_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_spelled_so.then(|| digits.parse().ok()).flatten()
}

/// The version comes before the checksum: where that lies is the version's matter.
fn check_start(bytes: &[u8], magic: &[u8; 4]) -> Result<(), Unreadable> {
    match bytes[4] {
        _ if bytes[..4] != *magic => Err(Unreadable::Damaged),
        VERSION if is_sealed(bytes, 0) => Ok(()),
        VERSION => Err(Unreadable::Damaged),
        other => Err(Unreadable::Version(other)),
    }
}

fn seal(bytes: &mut [u8], seed: u32) {
    let (body, crc) = bytes.split_at_mut(bytes.len() - 4);
    crc.copy_from_slice(&crc32c::crc32c_append(seed, body).to_le_bytes());
}

fn is_sealed(bytes: &[u8], seed: u32) -> bool {
    let (body, crc) = bytes.split_at(bytes.len() - 4);
    crc == crc32c::crc32c_append(seed, body).to_le_bytes()
}

fn array<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    std::array::from_fn(|at| bytes[from + at])
}
