mod damage;
mod fixtures;
mod kill;
mod rotation;
mod snapshots;
mod space;

use std::fs;
use std::path::{Path, PathBuf};

use super::format::{RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, segment_lsn};
use super::{Folder, IndexId, LSN_FIRST, LogError, Recovery, Wal, WalOptions};

const INDEX: IndexId = *b"\x4e\0index of tests";

type Record = (u64, Vec<u8>);

fn folder(path: &Path) -> Folder {
    Folder::open(path, INDEX, false).unwrap()
}

fn short_segments(segment_bytes: u64) -> WalOptions {
    WalOptions { segment_bytes, ..WalOptions::default() }
}

/// Opens the log and gives the records from `from_lsn` on.
fn read(path: &Path, from_lsn: u64) -> Result<(Wal, Recovery, Vec<Record>), LogError> {
    let mut records = Vec::new();
    let (wal, recovery) = Wal::open(&folder(path), short_segments(4 << 10), from_lsn, |lsn, payload| {
        records.push((lsn, payload.to_vec()));
        Ok(())
    })?;
    assert_eq!(recovery.records, records.len() as u64);
    Ok((wal, recovery, records))
}

fn open(path: &Path) -> Wal {
    read(path, LSN_FIRST).unwrap().0
}

/// A log with `count` records of `bytes` each, synced one by one.
fn write(path: &Path, count: u64, bytes: usize) -> Vec<Record> {
    let mut wal = open(path);
    let first_lsn = wal.next_lsn();
    let records: Vec<Record> = (first_lsn..first_lsn + count).map(|lsn| (lsn, payload(lsn, bytes))).collect();
    for (lsn, payload) in &records {
        assert_eq!(wal.append(&[payload]).unwrap(), *lsn);
        wal.sync().unwrap();
    }
    records
}

/// Bytes that look random and are never zero.
fn payload(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    (0..bytes).map(|_| random(&mut state) as u8 | 1).collect()
}

/// Steele, Lea & Flood's splitmix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| segment_lsn(&file_name(path)).is_some());
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Where the records of a segment begin, with their headers, and where the last one ends.
fn layout(bytes: &[u8]) -> (Vec<(usize, RecordHeader)>, usize) {
    let seed = SegmentHeader::decode(bytes.first_chunk().unwrap()).unwrap().seed();
    let (mut records, mut at) = (Vec::new(), SEGMENT_HEADER_BYTES);
    while let Some(header) = bytes[at..].first_chunk().and_then(|bytes| RecordHeader::decode(bytes, seed)) {
        records.push((at, header));
        at += header.record_bytes() as usize;
    }
    (records, at)
}
