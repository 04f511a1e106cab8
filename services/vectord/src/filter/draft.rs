//! Paths that are being indexed.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::field::Field;
use super::path::Path;

/// Made by [`Fields::cover`](super::Fields::cover), and filled without it, so that other filters are answered
/// meanwhile.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(super) fields: HashMap<Path, Field>,
    /// The filter's paths that are indexed already.
    pub(super) beside: Vec<Path>,
    pub(super) items: u64,
    bytes_max: usize,
    /// It had no room and lets go of everything.
    pub(super) overfull: bool,
}

impl Draft {
    pub(super) fn new(missing: Vec<Path>, beside: Vec<Path>, bytes_max: usize) -> Self {
        let fields = missing.into_iter().map(|path| (path, Field::default())).collect();
        Self { fields, beside, items: 0, bytes_max, overfull: false }
    }

    /// The paths that are missing, in no order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.fields.keys()
    }

    /// Takes in items: in the end each that there is when the draft is installed, once. Beyond the limits it
    /// keeps counting and lets the memory go, and [`Fields::install`](super::Fields::install) says so.
    #[cfg(test)]
    pub(crate) fn fill<'m>(&mut self, items: impl IntoIterator<Item = (u32, &'m Map<String, Value>)>) {
        for (key, metadata) in items {
            self.insert(key, metadata);
        }
    }

    /// Takes in one item: also one that is added while the draft is filled.
    pub(crate) fn insert(&mut self, key: u32, metadata: &Map<String, Value>) {
        self.items += 1;
        if self.overfull {
            return;
        }
        for (path, field) in &mut self.fields {
            if let Some(value) = path.find(metadata) {
                field.insert(key, value);
            }
        }
        if self.memory_bytes() > self.bytes_max {
            self.overfull = true;
            self.fields.values_mut().for_each(|field| *field = Field::default());
        }
    }

    /// Lets go of one item that it was given, with the metadata it was given with.
    pub(crate) fn remove(&mut self, key: u32, metadata: &Map<String, Value>) {
        if self.overfull {
            return;
        }
        for (path, field) in &mut self.fields {
            if let Some(value) = path.find(metadata) {
                field.remove(key, value);
            }
        }
    }

    /// Like [`Fields::memory_bytes`](super::Fields::memory_bytes), of the paths in the making.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.fields.values().map(Field::memory_bytes).sum()
    }
}
