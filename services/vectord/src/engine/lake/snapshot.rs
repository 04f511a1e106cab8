//! A snapshot: every live slot with its key, vector and lists, in little-endian numbers.
//!
//! `LAKE`, version byte, metric byte, u32 dimension, m, ef_construction, slots, entry slot, entry level;
//! per slot its u32 key plus one (zero: free), and for one in use its floats and, from level 0 up, lists
//! (u16 length, u32 slots); at the end the CRC32C of all before. Bytes are made again from the floats.

use std::io::{self, BufReader, BufWriter, Read, Write};

use super::graph::Entry;
use super::scratch::Slot;
use super::{Fresh, Lake, Options};
use crate::engine::{EngineError, KEYS_MAX, Metric};

const MAGIC: [u8; 4] = *b"LAKE";
const VERSION: u8 = 1;
/// In the place of the entry slot where there is none.
const NO_SLOT: u32 = u32::MAX;

impl Lake {
    /// The caller keeps writers out, and has swept.
    pub(super) fn write_snapshot(&self, to: &mut dyn Write) -> Result<(), EngineError> {
        let mut to = Checked { inner: BufWriter::new(to), crc: 0 };
        let entry = self.graph.entry();
        to.write_all(&MAGIC)?;
        to.write_all(&[VERSION, metric_byte(self.vectors.metric())])?;
        let Options { m, ef_construction, .. } = self.options;
        let slots = self.space.slots_used();
        let header = [self.vectors.dimension() as u32, m as u32, ef_construction as u32, slots];
        let entry = entry.map_or([NO_SLOT, 0], |entry| [entry.slot, entry.level as u32]);
        for number in header.into_iter().chain(entry) {
            to.write_all(&number.to_le_bytes())?;
        }
        let sitting = self.seats.sit();
        let mut bytes = Vec::new();
        for slot in 0..slots {
            bytes.clear();
            let key = self.space.key(slot).filter(|_| self.space.holds(slot));
            bytes.extend(key.map_or(0, |key| key + 1).to_le_bytes());
            if let Some(key) = key {
                bytes.extend(self.vectors.floats(&sitting.pin, slot).iter().flat_map(|x| x.to_le_bytes()));
                for level in 0..=self.graph.level(key) {
                    bytes.extend((self.graph.neighbours(level, slot).count() as u16).to_le_bytes());
                    bytes.extend(self.graph.neighbours(level, slot).flat_map(u32::to_le_bytes));
                }
            }
            to.write_all(&bytes)?;
        }
        let crc = to.crc;
        to.inner.write_all(&crc.to_le_bytes())?;
        to.inner.flush()?;
        Ok(())
    }

    /// Reads one slot of a snapshot; `false` where it is free.
    fn read_slot(&self, from: &mut impl Read, slot: Slot, slots: u32, floats: &mut [f32]) -> Result<bool, EngineError> {
        let Some(key) = read_u32(from)?.checked_sub(1) else { return Ok(false) };
        if key >= KEYS_MAX {
            return Err(EngineError::Snapshot("a key is out of range"));
        }
        for x in floats.iter_mut() {
            *x = f32::from_bits(read_u32(from)?);
            if !x.is_finite() {
                return Err(EngineError::Snapshot("a component is not a finite number"));
            }
        }
        let level = self.graph.level(key);
        let rows = {
            let mut free = self.space.free();
            let head = free.upper_used;
            free.upper_used += level as u32;
            self.graph.reserve(slots, free.upper_used).map_err(EngineError::Memory)?;
            head
        };
        self.graph.set_head(slot, rows);
        for level in 0..=level {
            let mut count = [0; 2];
            from.read_exact(&mut count)?;
            let count = usize::from(u16::from_le_bytes(count));
            let neighbours = (0..count).map(|_| read_u32(from)).collect::<io::Result<Vec<_>>>()?;
            if count > self.graph.list(level, slot).len() || neighbours.iter().any(|other| *other >= slots) {
                return Err(EngineError::Snapshot("a list is out of range"));
            }
            self.graph.set(level, slot, neighbours);
        }
        self.space.reserve_key(key).map_err(EngineError::Memory)?;
        let mut fresh = Fresh::assume(slot);
        self.vectors.write(&mut fresh, floats);
        if self.space.publish(key, fresh) {
            return Err(EngineError::Snapshot("a key comes twice"));
        }
        Ok(true)
    }

    /// Whether lists name only slots in use that have the level.
    fn lists_are_sound(&self) -> bool {
        let reaches = |slot, level| {
            self.space.holds(slot) && self.space.key(slot).is_some_and(|key| self.graph.level(key) >= level)
        };
        let entry = self.graph.entry().is_none_or(|entry| reaches(entry.slot, entry.level));
        entry
            && (0..self.space.slots_used()).filter(|slot| self.space.holds(*slot)).all(|slot| {
                let top = self.space.key(slot).map_or(0, |key| self.graph.level(key));
                (0..=top).all(|level| self.graph.neighbours(level, slot).all(|other| reaches(other, level)))
            })
    }
}

pub(super) fn read(from: &mut dyn Read, threads: usize) -> Result<Lake, EngineError> {
    let mut from = Checked { inner: BufReader::new(from), crc: 0 };
    let mut start = [0; 6];
    from.read_exact(&mut start)?;
    if start[..4] != MAGIC {
        return Err(EngineError::Snapshot("it does not begin as one"));
    }
    if start[4] != VERSION {
        return Err(EngineError::Snapshot("it is of another version"));
    }
    let metric = metric_of(start[5]).ok_or(EngineError::Snapshot("its metric is unknown"))?;
    let mut header = [0; 6];
    for number in &mut header {
        *number = read_u32(&mut from)?;
    }
    let [dimension, m, ef_construction, slots, entry_slot, entry_level] = header;
    let options = Options { m: m as usize, ef_construction: ef_construction as usize, threads };
    let lake = Lake::new(metric, dimension as usize, options)?;
    if slots >= KEYS_MAX || (entry_slot >= slots && entry_slot != NO_SLOT) {
        return Err(EngineError::Snapshot("its counts are out of range"));
    }
    let mut floats = vec![0.0; dimension as usize];
    for slot in 0..slots {
        // One after the other: a count that lies costs no memory.
        let reserved = lake.vectors.reserve(slot + 1).and_then(|()| lake.space.reserve_slots(slot + 1));
        reserved.and_then(|()| lake.graph.reserve(slot + 1, 0)).map_err(EngineError::Memory)?;
        lake.space.set_slots_used(slot + 1);
        if !lake.read_slot(&mut from, slot, slots, &mut floats)? {
            lake.space.free().slots.push(slot);
        }
    }
    let crc = from.crc;
    if read_u32(&mut from)? != crc {
        return Err(EngineError::Snapshot("its checksum is wrong"));
    }
    lake.space.free().slots.reverse();
    lake.graph.set_entry((entry_slot != NO_SLOT).then_some(Entry { slot: entry_slot, level: entry_level as usize }));
    if !lake.lists_are_sound() || (entry_slot == NO_SLOT && lake.space.live() > 0) {
        return Err(EngineError::Snapshot("its lists do not fit its slots"));
    }
    Ok(lake)
}

fn metric_byte(metric: Metric) -> u8 {
    match metric {
        Metric::Cosine => 0,
        Metric::L2 => 1,
        Metric::Dot => 2,
    }
}

fn metric_of(byte: u8) -> Option<Metric> {
    [Metric::Cosine, Metric::L2, Metric::Dot].into_iter().find(|metric| metric_byte(*metric) == byte)
}

fn read_u32(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Keeps the checksum of what goes through.
struct Checked<T> {
    inner: T,
    crc: u32,
}

impl<W: Write> Write for Checked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes[..read]);
        Ok(read)
    }
}
