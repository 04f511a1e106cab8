//! How far an index has followed its dataset, for whoever asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::mark::Mark;

/// The reason of a wait.
pub(super) const CATALOG_UNKNOWN: &str = "catalogd has not said yet which datasets there are";

/// What a follower does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowStatus {
    /// The index stands at the newest version.
    Current,
    /// A version is being brought in.
    Running,
    /// Something is in the way; it is tried again.
    Waiting,
    /// This version cannot be brought in; the next one will be tried.
    Failed,
}

/// What is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) status: FollowStatus,
    /// The version that the index holds; 0: none yet.
    pub(crate) version: u64,
    /// The version that is being brought in, or failed; 0: none.
    pub(crate) target_version: u64,
    /// `None` until they are counted.
    pub(crate) rows_total: Option<u64>,
    pub(crate) rows_done: u64,
    /// Why it waits or failed.
    pub(crate) reason: Option<String>,
}

/// Of one index: what is on the disk of it, and what goes on.
pub(crate) struct Following(Mutex<State>);

struct State {
    mark: Mark,
    status: FollowStatus,
    /// Besides the one in the mark, which has rows already.
    target: u64,
    reason: Option<String>,
}

impl Following {
    pub(crate) fn new(mark: Mark) -> Self {
        let reason = Some(CATALOG_UNKNOWN.to_owned());
        Following(Mutex::new(State { mark, status: FollowStatus::Waiting, target: 0, reason }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mark(&self) -> Mark {
        self.state().mark.clone()
    }

    /// For the writer alone: the mark is on the disk, and what it tells of can be found.
    pub(crate) fn advance(&self, mark: Mark) {
        self.state().mark = mark;
    }

    pub(super) fn is(&self, status: FollowStatus, target: u64, reason: Option<String>) {
        let mut state = self.state();
        (state.status, state.target, state.reason) = (status, target, reason);
    }

    pub(crate) fn is_bringing_in(&self) -> bool {
        self.state().status == FollowStatus::Running
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = self.state();
        let Mark { version, target, rows_total, rows_done, .. } = state.mark;
        let target_version = if state.target > 0 { state.target } else { target };
        // What was counted for another version says nothing of this one.
        let is_counted = if target_version > 0 { target == target_version } else { version > 0 };
        Progress {
            status: state.status,
            version,
            target_version,
            rows_total: is_counted.then_some(rows_total),
            rows_done: if is_counted { rows_done } else { 0 },
            reason: state.reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_for_one_version_is_not_told_of_another() {
        let mark = Mark { version: 3, rows_total: 7, rows_done: 7, ..Mark::default() };
        let following = Following::new(mark.clone());
        following.is(FollowStatus::Current, 0, None);
        let told = following.progress();
        assert_eq!((told.version, told.target_version, told.rows_total, told.rows_done), (3, 0, Some(7), 7));
        following.is(FollowStatus::Running, 4, None);
        let told = following.progress();
        assert_eq!((told.version, told.target_version, told.rows_total, told.rows_done), (3, 4, None, 0));
        following.advance(Mark { target: 4, rows_total: 9, rows_done: 2, ..mark });
        let told = following.progress();
        assert_eq!((told.version, told.target_version, told.rows_total, told.rows_done), (3, 4, Some(9), 2));
    }
}
