//! A snapshot: every live slot with its key, vector and lists, in little-endian numbers.
//!
//! | part | what |
//! |---|---|
//! | header | `LAKE`, version byte, metric byte, then u32: dimension, m, ef_construction, slots, entry slot, entry level, and 1 where links to slots just deleted were left out |
//! | keys | a u32 per slot: its key plus one, and bit 29 where it waits to be linked; zero where it is free |
//! | vectors | per slot in use: its f32 components |
//! | lists | per slot in the graph: its list of the lowest level, u32 slots plus one, zeros at the end |
//! | upper lists | per slot in the graph that has them: the same from level 1 up |
//! | end | the CRC32C of all before |
//!
//! Rows of a part have one length, so that they are moved a megabyte at a time. Bytes to walk by are made
//! again from the components.

use std::io::{Read, Write};

use super::graph::Entry;
use super::scratch::Slot;
use super::vectors::Fresh;
use super::{Lake, Options};
use crate::checked::Checked;
use crate::{EngineError, KEYS_MAX, Key};

const MAGIC: [u8; 4] = *b"LAKE";
const VERSION: u8 = 1;
const WAITING: u32 = 1 << 29;
/// In the place of the entry slot where there is none.
const NO_SLOT: u32 = u32::MAX;

impl Lake {
    /// The caller keeps writers out, those of lists and those of content.
    pub(super) fn write_snapshot(&self, to: &mut dyn Write) -> Result<(), EngineError> {
        let mut to = Checked::new(to);
        to.start(MAGIC, VERSION, self.vectors.metric())?;
        let Options { m, ef_construction, .. } = self.options;
        let slots = self.space.slots_used();
        let entry = self.graph.entry().filter(|entry| self.space.is_linked(entry.slot)).or_else(|| self.highest());
        let [entry_slot, entry_level] = entry.map_or([NO_SLOT, 0], |entry| [entry.slot, entry.level as u32]);
        let loosened = u32::from(self.space.lost() > 0);
        let dimension = self.vectors.dimension() as u32;
        for number in [dimension, m as u32, ef_construction as u32, slots, entry_slot, entry_level, loosened] {
            to.put(&number.to_le_bytes())?;
        }
        for slot in 0..slots {
            let key = self.space.key(slot).filter(|_| self.space.holds(slot)).map_or(0, |key| key + 1);
            let mark = if self.space.waits(slot) { WAITING } else { 0 };
            to.put(&(key | mark).to_le_bytes())?;
        }
        let sitting = self.seats.sit();
        for slot in (0..slots).filter(|slot| self.space.holds(*slot)) {
            for x in self.vectors.floats(&sitting.pin, slot) {
                to.put(&x.to_le_bytes())?;
            }
        }
        let linked = (0..slots).filter(|slot| self.space.is_linked(*slot));
        for slot in linked.clone() {
            self.write_list(&mut to, 0, slot)?;
        }
        for slot in linked {
            for level in 1..=self.space.key(slot).map_or(0, |key| self.graph.level(key)) {
                self.write_list(&mut to, level, slot)?;
            }
        }
        to.finish()
    }

    fn write_list(&self, to: &mut Checked<&mut dyn Write>, level: usize, slot: Slot) -> Result<(), EngineError> {
        let stay = self.graph.neighbours(level, slot).filter(|other| self.space.is_linked(*other));
        let entries = stay.map(|other| other + 1).chain(std::iter::repeat(0));
        for entry in entries.take(self.graph.list(level, slot).len()) {
            to.put(&entry.to_le_bytes())?;
        }
        Ok(())
    }

    /// Gives every slot in use its key, vector and room for its lists.
    fn read_items(&self, from: &mut Checked<&mut dyn Read>, keys: &[Option<Item>]) -> Result<(), EngineError> {
        let slots = keys.len() as u32;
        let mut upper_rows = 0;
        for (slot, item) in (0..).zip(keys) {
            let Some(item) = item else { continue };
            self.space.reserve_key(item.key).map_err(EngineError::Memory)?;
            self.graph.set_head(slot, upper_rows);
            upper_rows += item.level;
        }
        self.graph.reserve(slots, upper_rows).map_err(EngineError::Memory)?;
        self.space.free().upper_used = upper_rows;
        let mut used = (0..).zip(keys).filter_map(|(slot, item)| item.map(|item| (slot, item)));
        let mut floats = vec![0.0_f32; self.vectors.dimension()];
        let count = keys.iter().flatten().count();
        from.rows(count, self.vectors.dimension() * size_of::<f32>(), |row| {
            let Some((slot, item)) = used.next() else { return Ok(()) };
            for (x, bytes) in floats.iter_mut().zip(row.as_chunks().0) {
                *x = f32::from_le_bytes(*bytes);
            }
            if !floats.iter().all(|x| x.is_finite()) {
                return Err(EngineError::Snapshot("a component is not a finite number"));
            }
            let mut fresh = Fresh::assume(slot);
            self.vectors.write(&mut fresh, &floats);
            if self.space.publish(item.key, fresh) {
                return Err(EngineError::Snapshot("a key comes twice"));
            }
            if item.linked {
                self.space.linked(slot);
            }
            Ok(())
        })
    }

    fn read_lists(&self, from: &mut Checked<&mut dyn Read>, keys: &[Option<Item>]) -> Result<(), EngineError> {
        let linked =
            (0..).zip(keys).filter_map(|(slot, item)| item.filter(|item| item.linked).map(|item| (slot, item)));
        let upper = linked.clone().flat_map(|(slot, item)| (1..=item.level).map(move |level| (slot, level)));
        let (lowest_count, upper_count) = (linked.clone().count(), upper.clone().count());
        let lowest = linked.map(|(slot, _)| (slot, 0));
        self.read_level_lists(from, keys, lowest, lowest_count, self.graph.row_entries())?;
        self.read_level_lists(from, keys, upper, upper_count, self.graph.upper_row_entries())
    }

    /// Reads a part of lists, each of which may name only slots in the graph that have the level.
    fn read_level_lists(
        &self,
        from: &mut Checked<&mut dyn Read>,
        keys: &[Option<Item>],
        mut lists: impl Iterator<Item = (Slot, u32)>,
        count: usize,
        entries: usize,
    ) -> Result<(), EngineError> {
        from.rows(count, entries * size_of::<u32>(), |row| {
            let Some((slot, level)) = lists.next() else { return Ok(()) };
            let entries = row.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
            let named = entries.take_while(|entry| *entry != 0).map(|entry| entry - 1);
            if !named.clone().all(|other| reaches(keys, other, level)) {
                return Err(EngineError::Snapshot("its lists do not fit its slots"));
            }
            self.graph.set(level as usize, slot, named);
            Ok(())
        })
    }
}

/// What a slot in use holds.
#[derive(Clone, Copy)]
struct Item {
    key: Key,
    level: u32,
    linked: bool,
}

fn reaches(keys: &[Option<Item>], slot: Slot, level: u32) -> bool {
    keys.get(slot as usize).is_some_and(|item| item.is_some_and(|item| item.linked && item.level >= level))
}

pub(super) fn read(from: &mut dyn Read, threads: usize) -> Result<Lake, EngineError> {
    let mut from = Checked::new(from);
    let metric = from.start(MAGIC, VERSION)?;
    let [dimension, m, ef_construction, slots, entry_slot, entry_level, loosened] = from.numbers()?;
    let options = Options { m: m as usize, ef_construction: ef_construction as usize, threads };
    let lake = Lake::new(metric, dimension as usize, options)?;
    if slots >= KEYS_MAX {
        return Err(EngineError::Snapshot("its counts are out of range"));
    }
    let keys = read_keys(&mut from, slots, |key| lake.graph.level(key) as u32)?;
    // From here on the count is no bare claim: so many keys were there.
    let reserved = lake.vectors.reserve(slots).and_then(|()| lake.space.reserve_slots(slots));
    reserved.and_then(|()| lake.graph.reserve(slots, 0)).map_err(EngineError::Memory)?;
    lake.space.set_slots_used(slots);
    lake.read_items(&mut from, &keys)?;
    lake.read_lists(&mut from, &keys)?;
    from.finish()?;
    let some_linked = keys.iter().flatten().any(|item| item.linked);
    let entry_fits = if entry_slot == NO_SLOT { !some_linked } else { reaches(&keys, entry_slot, entry_level) };
    if !entry_fits {
        return Err(EngineError::Snapshot("its entry does not fit its slots"));
    }
    lake.graph.set_entry((entry_slot != NO_SLOT).then_some(Entry { slot: entry_slot, level: entry_level as usize }));
    lake.space.free().slots.extend((0..slots).rev().filter(|slot| keys[*slot as usize].is_none()));
    if loosened != 0 {
        lake.mend_reach();
    }
    Ok(lake)
}

fn read_keys(
    from: &mut Checked<&mut dyn Read>,
    slots: u32,
    level: impl Fn(Key) -> u32,
) -> Result<Vec<Option<Item>>, EngineError> {
    let mut keys = Vec::new();
    from.rows(slots as usize, size_of::<u32>(), |row| {
        let word = row.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let item =
            (word & !WAITING).checked_sub(1).map(|key| Item { key, level: level(key), linked: word & WAITING == 0 });
        if word == WAITING || item.is_some_and(|item| item.key >= KEYS_MAX) {
            return Err(EngineError::Snapshot("a key is out of range"));
        }
        keys.push(item);
        Ok(())
    })?;
    Ok(keys)
}
