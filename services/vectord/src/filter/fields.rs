//! The index of metadata: of the paths that filters use, and of no others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use super::Filter;
use super::condition::Node;
use super::field::Field;
use super::path::Path;

/// Refusals remembered: the oldest are forgotten first.
const REFUSALS_MAX: usize = 64;

/// What an index of metadata may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Paths indexed at a time.
    pub(crate) paths_max: usize,
    /// Memory of all of them, bytes as [`Fields::memory_bytes`] counts them. While a draft is filled it may
    /// take as much again.
    pub(crate) bytes_max: usize,
}

/// Answers filters for all items at once.
///
/// A path is indexed once a filter uses it, because metadata is mostly read back and rarely asked for.
/// [`cover`](Self::cover) says what a filter lacks:
///
/// - [`Cover::Indexed`]: [`matching`](Self::matching) answers.
/// - [`Cover::Missing`]: fill the draft with all items, then [`install`](Self::install) it.
/// - [`Cover::Refused`], or an `install` that fails: there is no room. Ask [`Filter::matches`] of item by item.
///
/// Invariant: a path is indexed for every item or for none, as long as the caller tells of every change.
/// Where the limits are reached, the paths that were used least recently are dropped.
#[derive(Debug)]
pub(crate) struct Fields {
    limits: Limits,
    fields: HashMap<Path, Field>,
    /// Counts uses.
    clock: AtomicU64,
    refusals: Vec<Refusal>,
}

/// Paths that do not fit together.
#[derive(Debug)]
struct Refusal {
    paths: Vec<Path>,
    /// After as many as there were items, the next filter may try again: what is spent on building in vain
    /// stays in proportion to what is changed.
    removals_until_retry: u64,
}

/// What it takes to answer a filter from the index.
#[derive(Debug)]
pub(crate) enum Cover {
    /// Nothing.
    Indexed,
    /// Paths that have to be indexed first.
    Missing(Draft),
    /// More paths or memory than the limits allow, as was found when it was last tried.
    Refused,
}

/// There is no room for the paths of a filter: evaluate it item by item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an index of {} takes more than {bytes_max} bytes", paths.iter().map(Path::as_str).collect::<Vec<_>>().join(", "))]
pub(crate) struct NoRoom {
    /// The paths that do not fit together.
    pub(crate) paths: Vec<Path>,
    /// [`Limits::bytes_max`].
    pub(crate) bytes_max: usize,
}

impl Fields {
    /// An index of no paths.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, fields: HashMap::new(), clock: AtomicU64::new(0), refusals: Vec::new() }
    }

    /// What it takes to answer `filter`.
    pub(crate) fn cover(&self, filter: &Filter) -> Cover {
        let paths = filter.paths();
        let missing: Vec<Path> = paths.iter().filter(|path| !self.fields.contains_key(*path)).cloned().collect();
        if missing.is_empty() {
            return Cover::Indexed;
        }
        let refused =
            self.refusals.iter().any(|refusal| refusal.paths.iter().all(|path| paths.binary_search(path).is_ok()));
        if refused || paths.len() > self.limits.paths_max {
            return Cover::Refused;
        }
        Cover::Missing(Draft {
            fields: missing.into_iter().map(|path| (path, Field::default())).collect(),
            beside: paths.iter().filter(|path| self.fields.contains_key(*path)).cloned().collect(),
            items: 0,
            bytes_max: self.limits.bytes_max,
            overfull: false,
        })
    }

    /// Indexes the paths of a draft that was given every item as it is now. Paths that the filter does not
    /// use give way, those used least recently first.
    ///
    /// # Errors
    /// The paths of the filter alone exceed [`Limits::bytes_max`]. Nothing is changed then, and filters with
    /// these paths are refused until as many items were removed as the draft had seen.
    pub(crate) fn install(&mut self, draft: Draft) -> Result<(), NoRoom> {
        let beside: usize = draft.beside.iter().filter_map(|path| self.fields.get(path)).map(Field::memory_bytes).sum();
        let own = draft.memory_bytes();
        if draft.overfull || own > self.limits.bytes_max {
            return Err(self.refuse(draft.paths().cloned().collect(), draft.items));
        }
        if own + beside > self.limits.bytes_max {
            return Err(self.refuse(draft.paths().chain(&draft.beside).cloned().collect(), draft.items));
        }
        draft.beside.iter().filter_map(|path| self.fields.get(path)).for_each(|field| self.touch(field));
        for (path, field) in draft.fields {
            self.touch(&field);
            self.fields.insert(path, field);
        }
        self.drop_beyond_limits();
        Ok(())
    }

    /// An item is added, or is back with other metadata after [`remove`](Self::remove).
    pub(crate) fn insert(&mut self, key: u32, metadata: &Map<String, Value>) {
        insert(&mut self.fields, key, metadata);
        self.drop_beyond_limits();
    }

    /// An item goes, or is about to change. `metadata` must be what it was inserted with.
    pub(crate) fn remove(&mut self, key: u32, metadata: &Map<String, Value>) {
        remove(&mut self.fields, key, metadata);
        for refusal in &mut self.refusals {
            refusal.removals_until_retry = refusal.removals_until_retry.saturating_sub(1);
        }
        self.refusals.retain(|refusal| refusal.removals_until_retry > 0);
    }

    /// The keys in `live` of the items that `filter` matches, exactly; `None` where a path is not indexed.
    pub(crate) fn matching(&self, filter: &Filter, live: &RoaringBitmap) -> Option<RoaringBitmap> {
        for path in filter.paths() {
            self.touch(self.fields.get(path)?);
        }
        self.evaluate(&filter.root, live)
    }

    /// Memory of the indexed paths, bytes: from what is known of the containers, not asked of the allocator.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.fields.values().map(Field::memory_bytes).sum()
    }

    /// The paths that are indexed, in no order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.fields.keys()
    }

    /// The items of `within` that `node` matches.
    fn evaluate(&self, node: &Node, within: &RoaringBitmap) -> Option<RoaringBitmap> {
        Some(match node {
            Node::All(nodes) => {
                let mut kept = within.clone();
                for node in nodes {
                    if kept.is_empty() {
                        break;
                    }
                    kept = self.evaluate(node, &kept)?;
                }
                kept
            }
            Node::Any(nodes) => {
                let mut found = RoaringBitmap::new();
                for node in nodes {
                    found |= self.evaluate(node, within)?;
                }
                found
            }
            Node::Not(node) => within - self.evaluate(node, within)?,
            Node::Test(path, test) => self.fields.get(path)?.matching(test, within) & within,
        })
    }

    fn touch(&self, field: &Field) {
        field.used.store(self.clock.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn refuse(&mut self, paths: Vec<Path>, items: u64) -> NoRoom {
        if self.refusals.len() == REFUSALS_MAX {
            self.refusals.remove(0);
        }
        self.refusals.push(Refusal { paths: paths.clone(), removals_until_retry: items.max(1) });
        NoRoom { paths, bytes_max: self.limits.bytes_max }
    }

    fn drop_beyond_limits(&mut self) {
        let bytes_max = self.limits.bytes_max;
        let mut bytes = self.memory_bytes();
        if bytes <= bytes_max && self.fields.len() <= self.limits.paths_max {
            return;
        }
        // A path that has grown too large for any room would take all others with it.
        let too_large = self.fields.extract_if(|_, field| field.memory_bytes() > bytes_max);
        for (path, field) in too_large.collect::<Vec<_>>() {
            bytes -= field.memory_bytes();
            self.refuse(vec![path], field.items());
        }
        while bytes > bytes_max || self.fields.len() > self.limits.paths_max {
            let oldest = self.fields.iter().min_by_key(|(_, field)| field.used.load(Ordering::Relaxed));
            let Some(path) = oldest.map(|(path, _)| path.clone()) else { break };
            bytes -= self.fields.remove(&path).map_or(0, |field| field.memory_bytes());
        }
    }
}

/// Paths that are being indexed. Made by [`Fields::cover`], and filled without it, so that other filters
/// are answered meanwhile.
#[derive(Debug)]
pub(crate) struct Draft {
    fields: HashMap<Path, Field>,
    /// The filter's paths that are indexed already.
    beside: Vec<Path>,
    items: u64,
    bytes_max: usize,
    /// It had no room and lets go of everything.
    overfull: bool,
}

impl Draft {
    /// The paths that are missing, in no order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.fields.keys()
    }

    /// Takes in items: in the end each that there is when the draft is installed, once. Beyond the limits it
    /// keeps counting and lets the memory go, and [`Fields::install`] says so.
    #[cfg(test)]
    pub(crate) fn fill<'m>(&mut self, items: impl IntoIterator<Item = (u32, &'m Map<String, Value>)>) {
        for (key, metadata) in items {
            self.insert(key, metadata);
        }
    }

    /// Takes in one item: also one that is added while the draft is filled from an older view of the items.
    pub(crate) fn insert(&mut self, key: u32, metadata: &Map<String, Value>) {
        self.items += 1;
        if !self.overfull {
            insert(&mut self.fields, key, metadata);
            if self.memory_bytes() > self.bytes_max {
                self.overfull = true;
                self.fields.values_mut().for_each(|field| *field = Field::default());
            }
        }
    }

    /// Lets go of one item that it was given, with the metadata it was given with.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, key: u32, metadata: &Map<String, Value>) {
        if !self.overfull {
            remove(&mut self.fields, key, metadata);
        }
    }

    /// Like [`Fields::memory_bytes`], of the paths in the making.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.fields.values().map(Field::memory_bytes).sum()
    }
}

fn insert(fields: &mut HashMap<Path, Field>, key: u32, metadata: &Map<String, Value>) {
    for (path, field) in fields {
        if let Some(value) = path.find(metadata) {
            field.insert(key, value);
        }
    }
}

fn remove(fields: &mut HashMap<Path, Field>, key: u32, metadata: &Map<String, Value>) {
    for (path, field) in fields {
        if let Some(value) = path.find(metadata) {
            field.remove(key, value);
        }
    }
}
