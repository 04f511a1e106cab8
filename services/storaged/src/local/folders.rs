//! Folders that come and go with the objects in them, and when they are on the disk.
//!
//! An entry is durable once its folder was fsynced after it was made, and the folder's own entry
//! in its parent likewise. Two things make this less than obvious. A folder that one write made
//! may be used by another before the first has fsynced the parent: so a made folder is *fresh*
//! until then, and whoever writes below a fresh folder fsyncs its parent too. And an fsync costs
//! more than all the rest of a small write: so writes into one folder share theirs. An fsync
//! that started before an entry was made does not count for it; the next one does, for all who
//! wait by then.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Deletions may take away a folder between its making and its use, but hardly so often.
const RACES_MAX: usize = 1_000;

pub(super) struct Folders {
    /// Always there, never pruned.
    root: PathBuf,
    fsync: bool,
    /// With how many writes have made each and not settled it yet.
    fresh: Mutex<HashMap<PathBuf, usize>>,
    turns: Mutex<HashMap<PathBuf, Arc<Turn>>>,
}

/// The fsyncs of one folder, numbered from 1.
#[derive(Default)]
struct Turn {
    state: Mutex<TurnState>,
    ended: Condvar,
}

#[derive(Default)]
struct TurnState {
    started: u64,
    finished: u64,
    /// The last one that failed. Those who waited for it or an earlier one must not trust a
    /// later success: the kernel reports a lost write once.
    failed: u64,
}

/// The folders that one write made.
#[derive(Default)]
pub(super) struct Made(Vec<PathBuf>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folders {
    pub(super) fn new(root: PathBuf, fsync: bool) -> Self {
        Folders { root, fsync, fresh: Mutex::default(), turns: Mutex::default() }
    }

    /// Runs `place`, which puts an entry into `folder`, and makes the folder and those above it
    /// as often as it turns out to be missing.
    pub(super) fn place_in(
        &self,
        folder: &Path,
        made: &mut Made,
        place: impl Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        for _ in 0..RACES_MAX {
            match place() {
                Err(error) if error.kind() == ErrorKind::NotFound => self.make(folder, made)?,
                placed => return placed,
            }
        }
        Err(io::Error::other("the folder goes away again and again"))
    }

    fn make(&self, folder: &Path, made: &mut Made) -> io::Result<()> {
        for _ in 0..RACES_MAX {
            // Before it exists, so that nobody can find it neither fresh nor durable.
            *locked(&self.fresh).entry(folder.to_owned()).or_default() += 1;
            match fs::create_dir(folder) {
                Ok(()) => {
                    made.0.push(folder.to_owned());
                    return Ok(());
                }
                Err(error) => {
                    self.no_longer_fresh(folder);
                    match (error.kind(), folder.parent()) {
                        (ErrorKind::AlreadyExists, _) => return Ok(()),
                        (ErrorKind::NotFound, Some(parent)) if folder != self.root => self.make(parent, made)?,
                        _ => return Err(error),
                    }
                }
            }
        }
        Err(io::Error::other("the folder goes away again and again"))
    }

    fn no_longer_fresh(&self, folder: &Path) {
        let mut fresh = locked(&self.fresh);
        if let Some(count) = fresh.get_mut(folder) {
            *count -= 1;
            if *count == 0 {
                fresh.remove(folder);
            }
        }
    }

    fn fresh_above(&self, folder: &Path) -> Vec<PathBuf> {
        let fresh = locked(&self.fresh);
        if fresh.is_empty() {
            return Vec::new();
        }
        let above = folder.ancestors().take_while(|ancestor| *ancestor != self.root);
        above.filter(|ancestor| fresh.contains_key(*ancestor)).map(Path::to_owned).collect()
    }

    /// Makes durable what was put into `folder`. Where it fails, the folders in `made` stay
    /// fresh for ever, which costs later writes an fsync more and loses nothing.
    pub(super) fn settle(&self, folder: &Path, made: Made) -> io::Result<()> {
        if self.fsync {
            self.sync(folder)?;
            for fresh in self.fresh_above(folder) {
                self.sync(fresh.parent().unwrap_or(&self.root))?;
            }
        }
        for folder in made.0 {
            self.no_longer_fresh(&folder);
        }
        Ok(())
    }

    /// Removes `folder` and those above it, as far as they are empty.
    pub(super) fn prune(&self, folder: &Path) {
        let above = folder.ancestors().take_while(|ancestor| *ancestor != self.root);
        for folder in above {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }

    /// Waits for an fsync of `folder` that starts after this call, or does it.
    fn sync(&self, folder: &Path) -> io::Result<()> {
        let turn = locked(&self.turns).entry(folder.to_owned()).or_default().clone();
        let outcome = turn.take(|| sync_folder(folder));
        let mut turns = locked(&self.turns);
        // This one's and the map's.
        if Arc::strong_count(&turn) <= 2 {
            turns.remove(folder);
        }
        outcome
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // Pruned since: what was to be made durable is deleted.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

impl Turn {
    fn take(&self, sync: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut state = locked(&self.state);
        let wanted = state.started + 1;
        while state.finished < wanted {
            if state.started > state.finished {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.started += 1;
            let number = state.started;
            drop(state);
            let outcome = sync();
            state = locked(&self.state);
            state.finished = number;
            if outcome.is_err() {
                state.failed = number;
            }
            self.ended.notify_all();
            outcome?;
        }
        if state.failed >= wanted { Err(io::Error::other("an fsync of the folder failed")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn waiting_writers_share_one_fsync() {
        let turn = Arc::new(Turn::default());
        let (syncs, waiting) = (AtomicUsize::new(0), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                turn.take(|| {
                    syncs.fetch_add(1, Ordering::Relaxed);
                    waiting.wait();
                    // Until the four below wait for the next turn: each holds the lock from its
                    // count to its wait.
                    while Arc::strong_count(&turn) < 5 {
                        std::thread::yield_now();
                    }
                    drop(locked(&turn.state));
                    Ok(())
                })
            });
            waiting.wait();
            for _ in 0..4 {
                scope.spawn(|| {
                    let held = turn.clone();
                    held.take(|| {
                        syncs.fetch_add(1, Ordering::Relaxed);
                        Ok(())
                    })
                });
            }
        });
        let syncs = syncs.into_inner();
        assert!((2..=3).contains(&syncs), "{syncs}");
    }

    #[test]
    fn a_failed_fsync_fails_all_who_waited_for_it() {
        let turn = Turn::default();
        assert!(turn.take(|| Err(io::Error::other("broken"))).is_err());
        assert!(turn.take(|| Ok(())).is_ok());
    }

    #[test]
    fn a_folder_is_fresh_until_its_parent_is_settled() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::new(root.path().to_owned(), true);
        let (outer, inner) = (root.path().join("a+"), root.path().join("a+/b+"));
        let mut made = Made::default();
        folders.place_in(&inner, &mut made, || fs::write(inner.join("x"), "")).unwrap();
        assert_eq!(made.0, [outer.clone(), inner.clone()]);
        assert_eq!(folders.fresh_above(&inner), [inner.clone(), outer.clone()]);
        folders.settle(&inner, made).unwrap();
        assert!(folders.fresh_above(&inner).is_empty() && locked(&folders.turns).is_empty());
        folders.prune(&inner);
        assert!(inner.exists(), "as it is not empty");
        fs::remove_file(inner.join("x")).unwrap();
        folders.prune(&inner);
        assert!(!outer.exists() && root.path().exists());
    }
}
