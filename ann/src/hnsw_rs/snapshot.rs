//! A snapshot: `HNRS`, version byte, metric byte, then u32: dimension, m, ef_construction, items; per item its u32
//! key and f32 components; at the end the CRC32C of all before. All little-endian. The graph is built again.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::Arc;

use super::{HnswRs, Item};
use crate::checked::Checked;
use crate::{EngineError, KEYS_MAX, Options, Vector};

const MAGIC: [u8; 4] = *b"HNRS";
const VERSION: u8 = 1;

pub(super) fn write(engine: &HnswRs, items: &[Arc<Item>], to: &mut dyn Write) -> Result<(), EngineError> {
    let mut to = Checked::new(to);
    to.start(MAGIC, VERSION, engine.metric)?;
    let Options { m, ef_construction, .. } = engine.options;
    for number in [engine.dimension, m, ef_construction, items.len()] {
        to.put(&(number as u32).to_le_bytes())?;
    }
    for item in items {
        to.put(&item.key.to_le_bytes())?;
        for x in item.vector.components() {
            to.put(&x.to_le_bytes())?;
        }
    }
    to.finish()
}

pub(super) fn read(from: &mut dyn Read, threads: usize) -> Result<HnswRs, EngineError> {
    let mut from = Checked::new(from);
    let metric = from.start(MAGIC, VERSION)?;
    let [dimension, m, ef_construction, count] = from.numbers()?.map(|number: u32| number as usize);
    let options = Options { m, ef_construction, threads };
    // Before anything is made of these numbers.
    HnswRs::new(metric, dimension, options)?;
    let (mut items, mut keys) = (Vec::new(), HashSet::new());
    from.rows(count, (1 + dimension) * size_of::<f32>(), |row| {
        let mut words = row.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let key = words.next().filter(|key| *key < KEYS_MAX).ok_or(EngineError::Snapshot("a key is out of range"))?;
        let components = words.map(f32::from_bits).collect();
        let vector = Vector::stored(metric, components).ok_or(EngineError::Snapshot("a vector is not one"))?;
        if !keys.insert(key) {
            return Err(EngineError::Snapshot("a key comes twice"));
        }
        items.push(Arc::new(Item { key, vector }));
        Ok(())
    })?;
    from.finish()?;
    HnswRs::of(metric, dimension, options, items)
}
