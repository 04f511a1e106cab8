//! What this process knows of every dataset, as readers see it.
//!
//! Invariant: readers never wait. They take an immutable snapshot; whoever has persisted something
//! swaps in the next one. The lock here is between those who swap, and no I/O happens under it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use uuid::Uuid;

use crate::manifest::Manifest;
use crate::name::DatasetName;

/// A manifest that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Poison {
    pub(crate) version: u64,
    /// Tells whether the file is still the one that could not be read.
    pub(crate) mark: (String, i64),
    pub(crate) reason: String,
}

/// What is known of one name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    /// The newest version that can be read, a tombstone included.
    pub(crate) good: Option<Arc<Manifest>>,
    /// The newest version, where it cannot be read. Reads are answered from `good`, writes refused.
    pub(crate) poison: Option<Poison>,
}

impl Entry {
    /// The dataset, unless it was deleted.
    pub(crate) fn live(&self) -> Option<&Arc<Manifest>> {
        self.good.as_ref().filter(|manifest| manifest.is_live())
    }

    pub(crate) fn version(&self) -> u64 {
        self.good.as_ref().map_or(0, |manifest| manifest.version)
    }

    /// What is known when `news` has come in: an older version says nothing new, and poison below
    /// a version that can be read does not matter.
    fn with(&self, news: Entry) -> Entry {
        let good = if news.version() > self.version() { news.good } else { self.good.clone() };
        let version = good.as_ref().map_or(0, |manifest| manifest.version);
        Entry { good, poison: news.poison.filter(|poison| poison.version > version) }
    }
}

/// Everything at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Of the last change in it.
    pub(crate) sequence: u64,
    pub(crate) datasets: BTreeMap<DatasetName, Entry>,
}

/// A dataset as it stands after a change; `None`: it is no more.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) name: DatasetName,
    pub(crate) manifest: Option<Arc<Manifest>>,
}

/// What a watcher gets that comes back with a sequence number.
pub(crate) enum Since {
    /// What happened since; nothing, where nothing did.
    Changes(Vec<Event>),
    /// It is too long ago, or another process's number.
    Unknown,
}

pub(crate) struct Known {
    current: ArcSwap<Snapshot>,
    /// Of this process: another's sequence numbers mean nothing here.
    pub(crate) epoch: String,
    history: Mutex<VecDeque<Event>>,
    history_max: usize,
    changed: watch::Sender<u64>,
}

impl Known {
    pub(crate) fn new(history_max: usize) -> Self {
        Known {
            current: ArcSwap::default(),
            epoch: Uuid::new_v4().simple().to_string(),
            history: Mutex::default(),
            history_max,
            changed: watch::Sender::new(0),
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn entry(&self, name: &DatasetName) -> Entry {
        self.current.load().datasets.get(name).cloned().unwrap_or_default()
    }

    /// Swaps in what is persisted already.
    pub(crate) fn publish(&self, news: Vec<(DatasetName, Entry)>) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        let mut datasets = before.datasets.clone();
        let mut sequence = before.sequence;
        for (name, entry) in news {
            let old = datasets.get(&name).cloned().unwrap_or_default();
            let new = old.with(entry);
            if new.version() != old.version() && (new.live().is_some() || old.live().is_some()) {
                sequence += 1;
                history.push_back(Event { sequence, name: name.clone(), manifest: new.live().cloned() });
            }
            datasets.insert(name, new);
        }
        self.swap(&mut history, Snapshot { sequence, datasets });
    }

    /// Forgets names of which nothing is persisted any more.
    pub(crate) fn forget(&self, names: &[DatasetName]) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        let mut datasets = before.datasets.clone();
        let mut sequence = before.sequence;
        for name in names {
            if datasets.remove(name).is_some_and(|entry| entry.live().is_some()) {
                sequence += 1;
                history.push_back(Event { sequence, name: name.clone(), manifest: None });
            }
        }
        self.swap(&mut history, Snapshot { sequence, datasets });
    }

    fn swap(&self, history: &mut VecDeque<Event>, next: Snapshot) {
        let surplus = history.len().saturating_sub(self.history_max);
        history.drain(..surplus);
        let sequence = next.sequence;
        self.current.store(Arc::new(next));
        self.changed.send_replace(sequence);
    }

    /// What happened after `sequence`, at most `events_max` of it.
    pub(crate) fn since(&self, sequence: u64, events_max: usize) -> Since {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.current.load().sequence;
        let first = history.front().map_or(last + 1, |event| event.sequence);
        if sequence > last || sequence + 1 < first {
            return Since::Unknown;
        }
        let skipped = usize::try_from(sequence + 1 - first).unwrap_or(usize::MAX);
        Since::Changes(history.iter().skip(skipped).take(events_max).cloned().collect())
    }

    /// Wakes at every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::plan::{self, Change};
    use crate::schema::Column;

    fn version(name: &str, previous: Option<&Arc<Manifest>>) -> Arc<Manifest> {
        let column = Column { name: "a".into(), type_text: "BIGINT".into(), nullable: true };
        let change = Change { op: None, columns: vec![column], objects: Vec::new(), request_id: "r".into() };
        let name = DatasetName::parse(name).unwrap();
        Arc::new(plan::follow(&name, previous.map(|p| &**p), &change, 1, 0).unwrap())
    }

    fn publish(known: &Known, manifest: &Arc<Manifest>) {
        known.publish(vec![(manifest.name.clone(), Entry { good: Some(manifest.clone()), poison: None })]);
    }

    fn told(since: Since) -> Option<Vec<(u64, u64)>> {
        let pair = |event: &Event| (event.sequence, event.manifest.as_ref().map_or(0, |manifest| manifest.version));
        match since {
            Since::Changes(events) => Some(events.iter().map(pair).collect()),
            Since::Unknown => None,
        }
    }

    #[test]
    fn an_older_version_is_no_news() {
        let known = Known::new(8);
        let first = version("a", None);
        let second = version("a", Some(&first));
        publish(&known, &second);
        publish(&known, &first);
        assert_eq!(known.entry(&first.name).version(), 2);
        assert_eq!(told(known.since(0, 8)), Some(vec![(1, 2)]), "and is told to nobody");
    }

    #[test]
    fn a_snapshot_stays_what_it_was() {
        let known = Known::new(8);
        let first = version("a", None);
        publish(&known, &first);
        let before = known.snapshot();
        publish(&known, &version("a", Some(&first)));
        known.forget(std::slice::from_ref(&first.name));
        assert_eq!(before.datasets[&first.name].version(), 1);
        assert!(known.snapshot().datasets.is_empty());
        assert_eq!(told(known.since(1, 8)), Some(vec![(2, 2), (3, 0)]));
    }

    #[test]
    fn what_the_history_no_longer_holds_is_unknown() {
        let known = Known::new(2);
        let mut manifest = version("a", None);
        for _ in 0..4 {
            publish(&known, &manifest);
            manifest = version("a", Some(&manifest));
        }
        assert_eq!(told(known.since(4, 8)), Some(vec![]));
        assert_eq!(told(known.since(2, 8)), Some(vec![(3, 3), (4, 4)]));
        assert_eq!(told(known.since(2, 1)), Some(vec![(3, 3)]));
        assert_eq!(told(known.since(1, 8)), None, "a watcher that fell behind");
        assert_eq!(told(known.since(5, 8)), None, "from another process");
    }

    #[test]
    fn poison_below_what_can_be_read_does_not_matter() {
        let known = Known::new(8);
        let first = version("a", None);
        let poison = |version| Some(Poison { version, mark: (String::new(), 0), reason: "torn".into() });
        known.publish(vec![(first.name.clone(), Entry { good: None, poison: poison(2) })]);
        assert!(known.entry(&first.name).poison.is_some());
        let second = version("a", Some(&first));
        known.publish(vec![(first.name.clone(), Entry { good: Some(second), poison: poison(2) })]);
        assert!(known.entry(&first.name).poison.is_none());
    }
}
