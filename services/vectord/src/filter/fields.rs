//! The index of metadata: of the paths that filters use, and of no others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use super::Filter;
use super::draft::Draft;
use super::field::Field;
use super::path::Path;
use super::view::View;

/// Refusals remembered: the oldest are forgotten first.
const REFUSALS_MAX: usize = 64;

/// What an index of metadata may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Paths indexed at a time.
    pub(crate) paths_max: usize,
    /// Memory of all of them, bytes as [`Fields::memory_bytes`] counts them. While a draft is filled it may
    /// take as much again, and while a view is in use, what is changed of it.
    pub(crate) bytes_max: usize,
}

/// Answers filters for all items at once.
///
/// A path is indexed once a filter uses it, because metadata is mostly read back and rarely asked for.
/// [`cover`](Self::cover) says what a filter lacks:
///
/// - [`Cover::Indexed`]: its [`view`](Self::view) answers.
/// - [`Cover::Missing`]: fill the draft with all items, then [`install`](Self::install) it.
/// - [`Cover::Refused`], or an `install` that fails: there is no room. Ask [`Filter::matches`] of item by item.
///
/// Invariant: a path is indexed for every item or for none, as long as the caller tells of every change.
/// Where the limits are reached, the paths that were used least recently are dropped.
#[derive(Debug)]
pub(crate) struct Fields {
    limits: Limits,
    fields: HashMap<Path, Indexed>,
    /// Counts uses.
    clock: AtomicU64,
    refusals: Vec<Refusal>,
}

#[derive(Debug)]
struct Indexed {
    /// Shared with views: changed in place while there is none, and copied first while there is.
    field: Arc<Field>,
    /// When it was last used, by the clock of the index.
    used: AtomicU64,
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
        let beside = paths.iter().filter(|path| self.fields.contains_key(*path)).cloned().collect();
        Cover::Missing(Draft::new(missing, beside, self.limits.bytes_max))
    }

    /// Indexes the paths of a draft that was given every item as it is now. Paths that the filter does not
    /// use give way, those used least recently first.
    ///
    /// # Errors
    /// The paths of the filter alone exceed [`Limits::bytes_max`]. Nothing is changed then, and filters with
    /// these paths are refused until as many items were removed as the draft had seen.
    pub(crate) fn install(&mut self, draft: Draft) -> Result<(), NoRoom> {
        let beside: usize =
            draft.beside.iter().filter_map(|path| self.fields.get(path)).map(Indexed::memory_bytes).sum();
        let own = draft.memory_bytes();
        if draft.overfull || own > self.limits.bytes_max {
            return Err(self.refuse(draft.paths().cloned().collect(), draft.items));
        }
        if own + beside > self.limits.bytes_max {
            return Err(self.refuse(draft.paths().chain(&draft.beside).cloned().collect(), draft.items));
        }
        draft.beside.iter().filter_map(|path| self.fields.get(path)).for_each(|indexed| self.touch(indexed));
        for (path, field) in draft.fields {
            let indexed = Indexed { field: Arc::new(field), used: AtomicU64::new(0) };
            self.touch(&indexed);
            self.fields.insert(path, indexed);
        }
        self.drop_beyond_limits();
        Ok(())
    }

    /// An item is added, or is back with other metadata after [`remove`](Self::remove).
    pub(crate) fn insert(&mut self, key: u32, metadata: &Map<String, Value>) {
        for (path, indexed) in &mut self.fields {
            if let Some(value) = path.find(metadata) {
                Arc::make_mut(&mut indexed.field).insert(key, value);
            }
        }
        self.drop_beyond_limits();
    }

    /// An item goes, or is about to change. `metadata` must be what it was inserted with.
    pub(crate) fn remove(&mut self, key: u32, metadata: &Map<String, Value>) {
        for (path, indexed) in &mut self.fields {
            if let Some(value) = path.find(metadata) {
                Arc::make_mut(&mut indexed.field).remove(key, value);
            }
        }
        for refusal in &mut self.refusals {
            refusal.removals_until_retry = refusal.removals_until_retry.saturating_sub(1);
        }
        self.refusals.retain(|refusal| refusal.removals_until_retry > 0);
    }

    /// The filter's paths as they are now; `None` where one is not indexed.
    pub(crate) fn view(&self, filter: &Filter) -> Option<View> {
        let mut fields = Vec::with_capacity(filter.paths().len());
        for path in filter.paths() {
            let indexed = self.fields.get(path)?;
            self.touch(indexed);
            fields.push(indexed.field.clone());
        }
        Some(View::new(fields))
    }

    /// Memory of the indexed paths, bytes: from what is known of the containers, not asked of the allocator.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.fields.values().map(Indexed::memory_bytes).sum()
    }

    /// The paths that are indexed, in no order.
    #[cfg(test)]
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.fields.keys()
    }

    fn touch(&self, indexed: &Indexed) {
        indexed.used.store(self.clock.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
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
        let too_large = self.fields.extract_if(|_, indexed| indexed.memory_bytes() > bytes_max);
        for (path, indexed) in too_large.collect::<Vec<_>>() {
            bytes -= indexed.memory_bytes();
            self.refuse(vec![path], indexed.field.items());
        }
        while bytes > bytes_max || self.fields.len() > self.limits.paths_max {
            let oldest = self.fields.iter().min_by_key(|(_, indexed)| indexed.used.load(Ordering::Relaxed));
            let Some(path) = oldest.map(|(path, _)| path.clone()) else { break };
            bytes -= self.fields.remove(&path).map_or(0, |indexed| indexed.memory_bytes());
        }
    }
}

impl Indexed {
    fn memory_bytes(&self) -> usize {
        self.field.memory_bytes()
    }
}
