//! Which keys are live, and what filters are answered from: changed together, so that whoever looks sees both
//! as they were at one moment.
//!
//! What no index answers is found by a scan: a look at every item, some at a time, that goes on beside writers.
//! Whatever they change behind the place where it is, they tell it. So it ends with what holds at one moment,
//! the one of its end, and nobody waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ann::{KEYS_MAX, Key};
use roaring::RoaringBitmap;

use crate::filter::{Cover, Draft, Fields, Filter, Limits, NoRoom, View};
use crate::item::{Metadata, Record};

/// Items that a scan looks at before it lets writers in …
const LOOKED_AT_ONCE: usize = 64;
/// … or bytes of their metadata, if that is less.
const LOOKED_BYTES: usize = 64 << 10;

/// See the module.
pub(super) struct Table {
    /// Shared with those who look: copied before it is changed where somebody does.
    live: Arc<RoaringBitmap>,
    fields: Fields,
    /// Those that go on. Whoever scans holds it; once nobody does it is over.
    scans: Vec<Weak<Mutex<Scan>>>,
}

/// A look at every item.
pub(super) struct Scan {
    /// Keys below it have been looked at.
    from: Key,
    sought: Sought,
}

/// What a scan is for.
pub(super) enum Sought {
    /// Paths to index.
    Draft(Draft),
    /// The items that match a filter whose paths have no room.
    Matches { filter: Filter, keys: RoaringBitmap },
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self { live: Arc::default(), fields: Fields::new(limits), scans: Vec::new() }
    }

    pub(super) fn live(&self) -> &Arc<RoaringBitmap> {
        &self.live
    }

    pub(super) fn set_live(&mut self, live: RoaringBitmap) {
        self.live = Arc::new(live);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.fields.memory_bytes() + self.live.serialized_size()
    }

    /// What answers a filter, as it is now; `None` where it takes a scan.
    pub(super) fn view(&self, filter: &Filter) -> Option<View> {
        self.fields.view(filter)
    }

    pub(super) fn insert(&mut self, key: Key, metadata: &Metadata) {
        Arc::make_mut(&mut self.live).insert(key);
        self.describe(key, metadata);
    }

    /// `metadata` must be what the key was inserted with, or changed to.
    pub(super) fn remove(&mut self, key: Key, metadata: &Metadata) {
        Arc::make_mut(&mut self.live).remove(key);
        self.forget(key, metadata);
    }

    /// A live item's metadata changes.
    pub(super) fn change(&mut self, key: Key, before: &Metadata, after: &Metadata) {
        self.forget(key, before);
        self.describe(key, after);
    }

    fn describe(&mut self, key: Key, metadata: &Metadata) {
        self.fields.insert(key, metadata);
        self.each_scan(key, |sought| sought.insert(key, metadata));
    }

    fn forget(&mut self, key: Key, metadata: &Metadata) {
        self.fields.remove(key, metadata);
        self.each_scan(key, |sought| sought.remove(key, metadata));
    }

    /// Those that are past the key; those before it will come to it.
    fn each_scan(&self, key: Key, tell: impl Fn(&mut Sought)) {
        for scan in self.scans.iter().filter_map(Weak::upgrade) {
            let mut scan = lock(&scan);
            if key < scan.from {
                tell(&mut scan.sought);
            }
        }
    }

    /// Begins the scan that a filter takes: for its paths where there is room for them, `may_index` and no other
    /// paths are being indexed, so that drafts take no more memory than one may.
    pub(super) fn begin(&mut self, filter: &Filter, may_index: bool) -> Arc<Mutex<Scan>> {
        self.scans.retain(|scan| scan.strong_count() > 0);
        let indexes = |scan: Arc<Mutex<Scan>>| matches!(lock(&scan).sought, Sought::Draft(_));
        let may_index = may_index && !self.scans.iter().filter_map(Weak::upgrade).any(indexes);
        let sought = match self.fields.cover(filter) {
            Cover::Missing(draft) if may_index => Sought::Draft(draft),
            _ => Sought::Matches { filter: filter.clone(), keys: RoaringBitmap::new() },
        };
        let scan = Arc::new(Mutex::new(Scan { from: 0, sought }));
        self.scans.push(Arc::downgrade(&scan));
        scan
    }

    /// Shows a scan the next items; whether it has seen all.
    pub(super) fn look(&self, scan: &Mutex<Scan>, record: impl Fn(Key) -> Option<Record>) -> bool {
        let mut scan = lock(scan);
        let mut bytes = 0;
        for key in self.live.range(scan.from..).take(LOOKED_AT_ONCE) {
            scan.from = key + 1;
            // What is live has a record.
            if let Some(record) = record(key) {
                scan.sought.insert(key, &record.metadata());
                bytes += record.json().len();
            }
            if bytes > LOOKED_BYTES {
                return false;
            }
        }
        if self.live.max().is_some_and(|last| last >= scan.from) {
            return false;
        }
        // Told of every change from here on.
        scan.from = KEYS_MAX;
        true
    }

    /// Takes what a scan that has seen all came to: it holds at this moment.
    pub(super) fn end(&mut self, scan: Arc<Mutex<Scan>>) -> Option<Sought> {
        // Nobody else has it: who tells it of changes has this table, as the caller has.
        let scan = Arc::into_inner(scan)?;
        Some(scan.into_inner().unwrap_or_else(PoisonError::into_inner).sought)
    }

    /// Indexes the paths of a draft that has seen every item.
    ///
    /// # Errors
    /// There is no room for them.
    pub(super) fn install(&mut self, draft: Draft) -> Result<(), NoRoom> {
        self.fields.install(draft)
    }
}

/// Never waited for: a scan looks with the table shared, and writers tell it with the table to themselves.
fn lock(scan: &Mutex<Scan>) -> MutexGuard<'_, Scan> {
    scan.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sought {
    fn insert(&mut self, key: Key, metadata: &Metadata) {
        match self {
            Self::Draft(draft) => draft.insert(key, metadata),
            Self::Matches { filter, keys } => {
                if filter.matches(metadata) {
                    keys.insert(key);
                }
            }
        }
    }

    fn remove(&mut self, key: Key, metadata: &Metadata) {
        match self {
            Self::Draft(draft) => draft.remove(key, metadata),
            Self::Matches { keys, .. } => {
                keys.remove(key);
            }
        }
    }
}
