//! All items as bytes, for snapshots.
//!
//! `LKVI`, version byte; u64 number of items; per item u32 key, u16 bytes of the id, u32 bytes of the
//! metadata's JSON, and both; then the engine's own snapshot. Numbers are little-endian. Whoever stores it
//! adds a checksum.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;

use ann::hnsw_rs::HnswRs;
use ann::lake::Lake;
use ann::{Engine, EngineError, KEYS_MAX};
use roaring::RoaringBitmap;

use super::MemoryStore;
use crate::Error;
use crate::item::{ItemId, Record};
use crate::settings::EngineKind;

const MAGIC: [u8; 4] = *b"LKVI";
const VERSION: u8 = 1;
/// More metadata than any limit allows: a length beyond it is no length.
const JSON_BYTES_MAX: u32 = 1 << 28;

impl MemoryStore {
    /// The caller keeps writers out.
    pub(super) fn write_content(&self, to: &mut dyn Write) -> Result<(), Error> {
        let live = self.read().live().clone();
        let mut bytes = Vec::with_capacity(1 << 16);
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        bytes.extend(live.len().to_le_bytes());
        for key in live.iter() {
            let Some(record) = self.records.get(key) else { return Err(Error::Content("a key has no record")) };
            bytes.extend(key.to_le_bytes());
            bytes.extend((record.id().len() as u16).to_le_bytes());
            bytes.extend((record.json().len() as u32).to_le_bytes());
            bytes.extend(record.id().as_bytes());
            bytes.extend(record.json().as_bytes());
            if bytes.len() >= 1 << 16 {
                to.write_all(&bytes).map_err(writing)?;
                bytes.clear();
            }
        }
        to.write_all(&bytes).map_err(writing)?;
        self.engine.save(to).map_err(|source| Error::Engine { what: "writing a snapshot", source })
    }

    pub(super) fn read_content(&mut self, from: &mut dyn Read) -> Result<(), Error> {
        let mut start = [0; 13];
        from.read_exact(&mut start).map_err(reading)?;
        if start[..4] != MAGIC {
            return Err(Error::Content("it does not begin as one"));
        }
        if start[4] != VERSION {
            return Err(Error::Content("it is of another version"));
        }
        let [_, _, _, _, _, items @ ..] = start;
        let mut live = RoaringBitmap::new();
        for _ in 0..u64::from_le_bytes(items) {
            let (key, record) = read_record(from)?;
            if !live.insert(key) {
                return Err(Error::Content("a key comes twice"));
            }
            let id = record.id().to_owned();
            self.set_record(key, Some(record));
            if self.ids.set(&self.records, &id, key).is_some() {
                return Err(Error::Content("an id comes twice"));
            }
        }
        let refused = |source: EngineError| Error::Engine { what: "reading a snapshot", source };
        self.engine = match self.settings.engine {
            EngineKind::Lake => Box::new(Lake::load(from, self.threads).map_err(refused)?),
            EngineKind::HnswRs => Box::new(HnswRs::load(from, self.threads).map_err(refused)?),
        };
        if self.engine.stats().live as u64 != live.len() {
            return Err(Error::Content("its records are not those of its vectors"));
        }
        self.keys.restore(&live);
        self.count.store(live.len() as usize, Ordering::Release);
        self.write().set_live(live);
        Ok(())
    }
}

fn read_record(from: &mut dyn Read) -> Result<(u32, Record), Error> {
    let mut head = [0; 10];
    from.read_exact(&mut head).map_err(reading)?;
    let [k0, k1, k2, k3, i0, i1, j0, j1, j2, j3] = head;
    let key = u32::from_le_bytes([k0, k1, k2, k3]);
    let id_bytes = usize::from(u16::from_le_bytes([i0, i1]));
    let json_bytes = u32::from_le_bytes([j0, j1, j2, j3]);
    if key >= KEYS_MAX || !(1..=ItemId::BYTES_MAX).contains(&id_bytes) || json_bytes > JSON_BYTES_MAX {
        return Err(Error::Content("a record is out of range"));
    }
    let mut bytes = vec![0; id_bytes + json_bytes as usize];
    from.read_exact(&mut bytes).map_err(reading)?;
    let text = str::from_utf8(&bytes).map_err(|_| Error::Content("a record is no text"))?;
    let (id, json) = text.split_at_checked(id_bytes).ok_or(Error::Content("an id is no text"))?;
    Ok((key, Record::from_parts(id, json)))
}

fn writing(source: std::io::Error) -> Error {
    Error::Io { what: "writing a snapshot", source }
}

fn reading(source: std::io::Error) -> Error {
    Error::Io { what: "reading a snapshot", source }
}
