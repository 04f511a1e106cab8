//! Warm-ups and their progress.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::Error;

/// Where a warm-up stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Running,
    Done,
    Failed,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
        }
    }
}

/// A warm-up and its progress.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) model: String,
    pub(crate) state: State,
    /// `None` until they are counted, and where they are not.
    pub(crate) texts_total: Option<u64>,
    pub(crate) texts_done: u64,
    /// Those that were not there already.
    pub(crate) computed: u64,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// Those that are remembered, the oldest first. One runs at a time.
pub(crate) struct Jobs {
    all: Mutex<VecDeque<Job>>,
    turns: Arc<Semaphore>,
    limit: usize,
}

impl Jobs {
    pub(crate) fn new(limit: usize) -> Self {
        Jobs { all: Mutex::default(), turns: Arc::new(Semaphore::new(1)), limit }
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// None has ended that could be forgotten for it.
    pub(super) fn add(&self, model: &str) -> Result<Job, Error> {
        let mut all = self.all();
        if all.len() >= self.limit {
            let ended = all.iter().position(|job| matches!(job.state, State::Done | State::Failed));
            let Some(ended) = ended else {
                return Err(Error::Overloaded { what: "warm-ups", limit: self.limit, config_key: "warm_jobs_max" });
            };
            all.remove(ended);
        }
        let job = Job {
            id: Uuid::now_v7(),
            model: model.to_owned(),
            state: State::Queued,
            texts_total: None,
            texts_done: 0,
            computed: 0,
            error: None,
        };
        all.push_back(job.clone());
        Ok(job)
    }

    /// Waits until no other one runs.
    pub(super) async fn turn(&self, id: Uuid) -> Result<OwnedSemaphorePermit, Error> {
        // Never closed.
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Error::WorkLost)?;
        self.update(id, |job| job.state = State::Running);
        Ok(turn)
    }

    pub(super) fn update(&self, id: Uuid, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.all().iter_mut().find(|job| job.id == id) {
            change(job);
        }
    }

    pub(super) fn end(&self, id: Uuid, error: Option<String>) {
        self.update(id, |job| {
            job.state = if error.is_none() { State::Done } else { State::Failed };
            job.error = error;
        });
    }

    /// The newest first.
    pub(crate) fn list(&self) -> Vec<Job> {
        self.all().iter().rev().cloned().collect()
    }

    /// # Errors
    /// There is none.
    pub(crate) fn find(&self, id: &str) -> Result<Job, Error> {
        let found = self.all().iter().find(|job| job.id.to_string() == id).cloned();
        found.ok_or_else(|| Error::NoWarm(id.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_has_ended_is_forgotten_first_and_none_that_runs() {
        let jobs = Jobs::new(2);
        let (first, second) = (jobs.add("m").unwrap(), jobs.add("m").unwrap());
        assert!(matches!(jobs.add("m"), Err(Error::Overloaded { limit: 2, .. })));
        jobs.end(second.id, None);
        let third = jobs.add("m").unwrap();
        let ids: Vec<_> = jobs.list().iter().map(|job| job.id).collect();
        assert_eq!(ids, [third.id, first.id]);
        assert!(jobs.find(&second.id.to_string()).is_err());
    }
}
