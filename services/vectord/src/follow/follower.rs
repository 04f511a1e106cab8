//! Of one index: when to bring in what, and what to do where it does not go.

use std::sync::Arc;
use std::time::Duration;

use kit::{Caller, Code, ServiceError, Status};
use tokio::sync::watch;
use tokio::time::sleep;

use super::bring::Bringing;
use super::datasets::{Known, Standing};
use super::progress::{CATALOG_UNKNOWN, FollowStatus};
use super::statements::Plan;
use crate::Error;
use crate::index::Index;
use crate::indexes::Indexes;
use crate::mark::Mark;
use crate::source::Source;

/// The first pause before another try; each one after it is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// What `/health` calls an index that does not come along.
pub(crate) fn component(index: &str) -> String {
    format!("index {index} follows")
}

/// Has an index that has a source follow it, until the index or the service ends.
pub(crate) fn follow(indexes: &Indexes, index: &Arc<Index>) {
    let Some(source) = index.settings.source.clone() else { return };
    let stopping = indexes.stopping().clone();
    if indexes.datasets().is_first_wanted() {
        let (datasets, stopping) = (indexes.datasets().clone(), stopping.clone());
        indexes.spawn(async move {
            let _stopped = stopping.run_until_cancelled(datasets.run()).await;
        });
    }
    let follower = Follower {
        caller: source.reader(),
        known: indexes.datasets().subscribe(),
        failed: None,
        is_doubted: false,
        batch_rows: indexes.config().follow_batch_rows,
        pause: PAUSE_MIN,
        indexes: indexes.clone(),
        index: index.clone(),
        source,
    };
    let index = index.clone();
    indexes.spawn(async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = index.removed.cancelled() => {}
            () = follower.run() => {}
        }
    });
}

struct Follower {
    indexes: Indexes,
    index: Arc<Index>,
    source: Source,
    /// Who reads.
    caller: Caller,
    known: watch::Receiver<Known>,
    /// The version that cannot be brought in, and why.
    failed: Option<(u64, String)>,
    /// Whether what the index holds may not be what its mark says.
    is_doubted: bool,
    /// Fewer than configured where embedd takes too long over so many.
    batch_rows: usize,
    pause: Duration,
}

/// When to look again.
enum Next {
    Now,
    After(Duration),
    /// When catalogd says something.
    OnNews,
}

impl Follower {
    async fn run(mut self) {
        loop {
            let standing = self.known.borrow_and_update().standing(&self.source.dataset);
            let next = match standing {
                Standing::Unknown => self.waits(CATALOG_UNKNOWN.into()),
                Standing::Missing => self.waits(format!("there is no dataset {}", self.source.dataset)),
                Standing::At(newest) => self.catch_up(newest).await,
            };
            match next {
                Next::Now => {}
                Next::After(pause) => sleep(pause).await,
                // The sender lives as long as the service.
                Next::OnNews => drop(self.known.changed().await),
            }
        }
    }

    async fn catch_up(&mut self, newest: u64) -> Next {
        let mark = self.index.mark();
        if (mark.version, mark.target) == (newest, 0) {
            self.is_current();
            return Next::OnNews;
        }
        if let Some((_, reason)) = self.failed.as_ref().filter(|(version, _)| *version == newest) {
            self.tells(FollowStatus::Failed, newest, Some(reason.clone()));
            return Next::OnNews;
        }
        let turns = self.indexes.follows();
        if turns.available_permits() == 0 {
            self.waits("other indexes are brought up to date first (follows_at_once_max)".into());
        }
        // Never closed.
        let Ok(_turn) = turns.acquire_owned().await else { return Next::OnNews };
        let plan = match self.plan(&mark, newest).await {
            Ok(plan) => plan,
            Err(error) => return self.fell(newest, error),
        };
        self.tells(FollowStatus::Running, plan.target(), None);
        tracing::info!(index = %self.index.settings.name, dataset = self.source.dataset, ?plan, "bringing a version in");
        let Follower { indexes, index, source, caller, batch_rows, .. } = &*self;
        let brought = Bringing { indexes, index, source, caller, batch_rows: *batch_rows }.run(plan).await;
        match brought {
            Ok(()) => {
                self.is_doubted = false;
                self.batch_rows = self.indexes.config().follow_batch_rows;
                self.pause = PAUSE_MIN;
                Next::Now
            }
            Err(error) => self.fell(plan.target(), error),
        }
    }

    /// What was begun is ended first, as long as it can be read; then the newest version is next.
    async fn plan(&self, mark: &Mark, newest: u64) -> Result<Plan, Error> {
        let Mark { version: base, target: begun, .. } = *mark;
        let has_failed = self.failed.as_ref().is_some_and(|(version, _)| *version == begun);
        let goes_on = begun > 0 && !self.is_doubted && !has_failed;
        let target = if goes_on { begun } else { newest };
        let versions = if base > 0 { vec![target, base] } else { vec![target] };
        let mut columns = self.indexes.versions(&self.caller, &self.source.dataset, &versions).await?.into_iter();
        let of_target = columns.next().ok_or(Error::Content("catalogd's answer is empty"))?;
        let base_is_there = columns.next().is_some_and(|columns| columns.is_ok());
        let columns = match of_target {
            Ok(columns) => columns,
            // Between two versions, of which one can no longer be read: from here only a whole one leads on.
            Err(_) if goes_on && target != newest => return Ok(Plan::Whole { target: newest }),
            Err(why) => return Err(Error::NoDataset(why)),
        };
        self.source.check_columns(&columns).map_err(|error| Error::BadRows {
            dataset: self.source.dataset.clone(),
            version: target,
            what: error.to_string(),
        })?;
        let differs = base > 0 && base_is_there && !self.is_doubted && (begun == 0 || goes_on);
        if differs {
            return Ok(Plan::Difference { base, target });
        }
        let target = if goes_on && base > 0 { newest } else { target };
        Ok(Plan::Whole { target })
    }

    /// What is to be done about an error with a version.
    fn fell(&mut self, version: u64, error: Error) -> Next {
        let name = &self.index.settings.name;
        tracing::warn!(index = %name, version, error = &error as &dyn std::error::Error, "a version is not brought in");
        self.is_doubted |= matches!(error, Error::Content(_));
        let reason = error.public_detail();
        let code = error.code();
        if matches!(code, Code::DeadlineExceeded | Code::PayloadTooLarge) && self.batch_rows > 1 {
            self.batch_rows /= 2;
        } else if matches!(code, Code::InvalidArgument | Code::FailedPrecondition | Code::PayloadTooLarge) {
            self.indexes.health().set(component(name.as_str()), Status::Degraded, reason.clone());
            self.failed = Some((version, reason));
            return Next::Now;
        }
        self.indexes.health().set(component(name.as_str()), Status::Degraded, reason.clone());
        self.tells(FollowStatus::Waiting, version, Some(reason));
        let pause = self.pause.min(self.indexes.config().follow_retry_max);
        self.pause = pause * 2;
        Next::After(pause)
    }

    fn waits(&self, reason: String) -> Next {
        self.tells(FollowStatus::Waiting, 0, Some(reason));
        Next::OnNews
    }

    fn is_current(&mut self) {
        self.failed = None;
        self.indexes.health().remove(&component(self.index.settings.name.as_str()));
        self.tells(FollowStatus::Current, 0, None);
    }

    fn tells(&self, status: FollowStatus, target: u64, reason: Option<String>) {
        if let Some(following) = &self.index.following {
            following.is(status, target, reason);
        }
        self.indexes.metrics().follows(&self.index);
        // What was left to be found by comparing.
        self.index.maintain();
    }
}
