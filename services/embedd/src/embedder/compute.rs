//! A batch of texts that memory does not have: the shared cache, then the provider.

use std::sync::Arc;

use kit::ServiceError;
use tokio::time::Instant;

use super::Inner;
use crate::Error;
use crate::embedding::{Embedding, Key};
use crate::flights::{Batch, Flights, Outcome, Source};
use crate::models::Model;
use crate::provider::{Input, ProviderError, Wish};
use crate::shared::{Lease, SharedCache};

/// Ends its batch, also where the work on it panics: nobody waits for ever.
pub(super) struct Unfinished<'a> {
    pub(super) flights: &'a Flights,
    pub(super) batch: &'a Arc<Batch>,
    pub(super) keys: &'a [Key],
}

impl Unfinished<'_> {
    pub(super) fn end(self, outcome: Outcome) {
        self.flights.end(self.batch, self.keys, outcome);
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.flights.end(self.batch, self.keys, Err(Arc::new(Error::WorkLost)));
    }
}

/// A vector for each key, in their order; all of them are in memory afterwards.
///
/// # Errors
/// The provider's; all of them or none.
pub(super) async fn compute(
    inner: &Inner,
    model: &Model,
    wish: Wish,
    keys: &[Key],
    inputs: Vec<Option<Input>>,
    deadline: Instant,
) -> Result<Vec<(Embedding, Source)>, Error> {
    let found = vec![None; keys.len()];
    let mut work = Work { inner, model, wish, keys, inputs, deadline, found };
    match &inner.shared {
        Some(shared) => work.with_shared(&**shared).await?,
        None => work.ask(&work.open()).await?,
    }
    inner.stats.size.set(i64::try_from(inner.tier1.size()).unwrap_or(i64::MAX));
    let found: Vec<_> = work.found.into_iter().flatten().collect();
    if found.len() == keys.len() { Ok(found) } else { Err(Error::Content("a text was left without a vector")) }
}

struct Work<'a> {
    inner: &'a Inner,
    model: &'a Model,
    wish: Wish,
    keys: &'a [Key],
    /// Taken out when they are asked for.
    inputs: Vec<Option<Input>>,
    deadline: Instant,
    /// Vectors as they come, in the places of their keys.
    found: Vec<Option<(Embedding, Source)>>,
}

impl Work<'_> {
    /// The places that are still without a vector.
    fn open(&self) -> Vec<usize> {
        (0..self.found.len()).filter(|at| self.found[*at].is_none()).collect()
    }

    fn keys(&self, ats: &[usize]) -> Vec<Key> {
        ats.iter().map(|at| self.keys[*at]).collect()
    }

    async fn with_shared(&mut self, shared: &dyn SharedCache) -> Result<(), Error> {
        self.look(shared, &self.open()).await;
        if self.model.provider.is_remote() {
            self.agree(shared).await?;
        }
        self.ask_and_keep(shared, &self.open(), None).await
    }

    /// Computes what this process gets to compute, then waits for what others do.
    async fn agree(&mut self, shared: &dyn SharedCache) -> Result<(), Error> {
        let open = self.open();
        if open.is_empty() {
            return Ok(());
        }
        let lease = shared.lease(&self.keys(&open)).await;
        let held = |wanted: bool| {
            let pairs = open.iter().zip(&lease.held).filter(move |(_, held)| **held == wanted);
            pairs.map(|(at, _)| *at).collect::<Vec<usize>>()
        };
        let (ours, theirs) = (held(true), held(false));
        self.ask_and_keep(shared, &ours, Some(lease)).await?;
        if !theirs.is_empty() {
            let found = shared.wait_many(&self.keys(&theirs), self.deadline).await;
            self.take(&theirs, found);
        }
        Ok(())
    }

    /// Asks the shared cache.
    async fn look(&mut self, shared: &dyn SharedCache, ats: &[usize]) {
        if ats.is_empty() {
            return;
        }
        let began = Instant::now();
        let found = shared.get_many(&self.keys(ats), self.model.ttl).await;
        self.inner.stats.shared.add(began.elapsed(), 1);
        self.take(ats, found);
    }

    /// Takes what the shared cache has, where it can be of this model.
    fn take(&mut self, ats: &[usize], found: Vec<Option<Embedding>>) {
        for (at, embedding) in ats.iter().zip(found) {
            if let Some(embedding) = embedding.filter(|embedding| self.model.fits(&embedding.vector)) {
                self.inner.tier1.insert(self.keys[*at], embedding.clone());
                self.found[*at] = Some((embedding, Source::Shared));
            }
        }
    }

    async fn ask_and_keep(
        &mut self,
        shared: &dyn SharedCache,
        ats: &[usize],
        lease: Option<Lease>,
    ) -> Result<(), Error> {
        if ats.is_empty() {
            return Ok(());
        }
        self.ask(ats).await?;
        let made = ats.iter().filter_map(|at| Some((self.keys[*at], self.found[*at].as_ref()?.0.clone())));
        shared.set_many(made.collect(), self.model.ttl, lease);
        Ok(())
    }

    /// Asks the provider.
    async fn ask(&mut self, ats: &[usize]) -> Result<(), Error> {
        let model = self.model;
        if tracing::enabled!(tracing::Level::DEBUG) {
            // The hash alone: texts are nobody's business.
            ats.iter().for_each(|at| tracing::debug!(model = %model.name, text = %hex(&self.keys[*at].text), "miss"));
        }
        let taken = ats.iter().filter_map(|at| self.inputs[*at].take());
        let inputs = taken.map(|input| with_prefix(input, &model.prefix)).collect();
        let began = Instant::now();
        let answered = model.provider.embed(inputs, self.wish, self.deadline).await;
        self.inner.stats.provider.add(began.elapsed(), 1);
        let checked = answered.and_then(|answered| model.check(&answered, ats.len()).map(|()| answered));
        let answered = checked.map_err(|error| self.failed(ats, error))?;
        for (at, embedding) in ats.iter().zip(answered) {
            self.inner.tier1.insert(self.keys[*at], embedding.clone());
            self.found[*at] = Some((embedding, Source::Computed));
        }
        Ok(())
    }

    fn failed(&self, ats: &[usize], error: ProviderError) -> Error {
        let place = |at: usize| ats.get(at).copied().unwrap_or(at);
        let (model, kind) = (self.model.name.clone(), self.model.provider.kind());
        let error = match error {
            ProviderError::TooLong { at, tokens, max } => return Error::TooLong { at: place(at), tokens, max },
            ProviderError::TextRefused { at, bytes, what } => {
                return Error::TextRefused { at: place(at), bytes, model, what };
            }
            source => Error::Provider { model, kind, source },
        };
        if error.code().http_status().is_server_error() {
            self.inner.stats.failed(&self.model.name);
        }
        error
    }
}

/// A prefix is text: tokens are taken as they are.
fn with_prefix(input: Input, prefix: &str) -> Input {
    match input {
        Input::Text(text) if !prefix.is_empty() => Input::Text(format!("{prefix}{text}")),
        other => other,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
