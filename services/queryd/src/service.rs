//! What a statement goes through, whichever way it came: gate, snapshot, executor.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::try_join;
use kit::Caller;
use tokio::time::{Instant, timeout_at};

use crate::catalog::{Dataset, Snapshots};
use crate::encode::Format;
use crate::engine::{Limits, Parameters};
use crate::error::Error;
use crate::executor::{Answer, Executor, Job, Piece};
use crate::gate::{Explain, Gate, Statement, is_dataset_name};
use crate::meaning::Meaning;

/// A statement as it came, already of valid form.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) parameters: Parameters,
    pub(crate) rows_max: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) format: Format,
    /// To be explained, whatever the text says.
    pub(crate) explain: Option<Explain>,
}

/// A part of what there is, by name.
pub(crate) struct Page {
    pub(crate) datasets: Vec<Arc<Dataset>>,
    /// Where the next one starts; `None`: nowhere.
    pub(crate) next_cursor: Option<String>,
}

/// Shared by the handlers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Service(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) gate: Gate,
    pub(crate) snapshots: Snapshots,
    pub(crate) meaning: Meaning,
    /// Set once storaged has said where the datasets lie.
    pub(crate) executor: OnceLock<Executor>,
    pub(crate) timeout_default: Duration,
    pub(crate) timeout_max: Duration,
    pub(crate) list_limit_max: usize,
}

impl Service {
    pub(crate) fn new(parts: Parts) -> Self {
        Service(Arc::new(parts))
    }

    /// From here on statements run.
    pub(crate) fn ready(&self, executor: Executor) {
        // Set by the one task that opens the engine.
        let _once = self.0.executor.set(executor);
    }

    /// Runs a statement up to its first piece.
    pub(crate) async fn run(&self, query: Query, caller: Caller) -> Result<(Piece, Answer), Error> {
        let executor = self.0.executor.get().ok_or(Error::Starting)?;
        let limits = self.limits(&query)?;
        let deadline = Instant::now() + limits.timeout;
        let statement = self.0.gate.check(&query.sql).await?;
        let statement = match query.explain {
            None => statement,
            explain => Arc::new(Statement { explain, plan_is_reusable: false, ..(*statement).clone() }),
        };
        let Query { parameters, format, .. } = query;
        let held = self.0.snapshots.held_by(&statement, &caller);
        let asked = async {
            let asked = timeout_at(deadline, self.0.snapshots.take(&statement, &caller)).await;
            asked.unwrap_or(Err(Error::Timeout(limits.timeout)))
        };
        let job = |snapshot, searched| {
            let (statement, parameters, caller) = (statement.clone(), parameters.clone(), caller.clone());
            let limits = limits.clone();
            executor.run(Job { statement, parameters, snapshot, searched, caller, limits, deadline, format })
        };
        if !statement.searches.is_empty() {
            let searched = self.0.meaning.search(&statement.searches, &parameters, &caller, deadline.into_std());
            let searched = async {
                let searched = timeout_at(deadline, searched).await;
                match searched {
                    Ok(Err(Error::Timeout(_))) | Err(_) => Err(Error::Timeout(limits.timeout)),
                    Ok(searched) => searched,
                }
            };
            let (snapshot, searched) = try_join(asked, searched).await?;
            return job(snapshot, searched).await;
        }
        let Some(held) = held else { return job(asked.await?, Vec::new()).await };
        // catalogd is asked while the statement already runs over what is held. Nothing of that run
        // leaves before the answer; if something else stands now, it is stopped and forgotten.
        let (mut asked, mut begun) = (pin!(asked), Box::pin(job(held.clone(), Vec::new())));
        let (fresh, first) = tokio::select! {
            biased;
            first = &mut begun => (asked.await?, Some(first)),
            fresh = &mut asked => (fresh?, None),
        };
        match first {
            _ if !fresh.is_same_as(&held) => {
                drop((first, begun));
                job(fresh, Vec::new()).await
            }
            Some(first) => first,
            None => begun.await,
        }
    }

    /// Every dataset that the caller may read, `limit` of them after `cursor`.
    pub(crate) async fn datasets(
        &self,
        caller: &Caller,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Page, Error> {
        let max = self.0.list_limit_max;
        let limit = limit.filter(|limit| *limit > 0).unwrap_or(max);
        if limit > max {
            return Err(Error::Invalid(format!("limit: at most {max} (list_limit_max)")));
        }
        let last = cursor.filter(|cursor| !cursor.is_empty());
        if last.is_some_and(|last| !is_dataset_name(last)) {
            return Err(Error::Invalid("cursor: not one of ours".into()));
        }
        let mut datasets = self.0.snapshots.all(caller).await?;
        datasets.retain(|dataset| last.is_none_or(|last| dataset.name.as_str() > last));
        let more = datasets.len() > limit;
        datasets.truncate(limit);
        let next_cursor = datasets.last().filter(|_| more).map(|dataset| dataset.name.clone());
        Ok(Page { datasets, next_cursor })
    }

    fn limits(&self, query: &Query) -> Result<Limits, Error> {
        let timeout = query.timeout.unwrap_or(self.0.timeout_default);
        if timeout.is_zero() || timeout > self.0.timeout_max {
            let max = self.0.timeout_max.as_millis();
            return Err(Error::Invalid(format!("timeout_ms must be from 1 to {max} (timeout_max)")));
        }
        Ok(Limits { timeout, rows_max: query.rows_max })
    }
}
