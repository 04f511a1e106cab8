//! One server, as long as it is worth asking.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use kit::{Health, Status};
use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::breaker::Breaker;
use super::client::{Client, Connection};
use super::counters::Counters;
use crate::config::RedisConfig;

/// Commands of one reading that are under way at once: enough to keep the connection busy, few enough that little
/// is left behind for the next reading where time is up.
const READS_AT_ONCE: usize = 4;
/// A connection on which nothing happens is tried so often, so that health does not speak of the past.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A server, its breaker, and its place in health.
pub(super) struct Link {
    component: String,
    client: Client,
    timeout: Duration,
    write_timeout: Duration,
    connect_timeout: Duration,
    batch_values_max: usize,
    health: Health,
    counters: Arc<Counters>,
    state: Mutex<State>,
    lost: Notify,
}

struct State {
    breaker: Breaker,
    /// There while the breaker is closed or half open.
    connection: Option<Connection>,
    /// Of the connection: the failure of an old one says nothing about the new one.
    generation: u64,
    /// Whether the last write was refused for want of memory.
    full: bool,
    reason: String,
}

/// A connection lent to one call.
struct Lent {
    connection: Connection,
    generation: u64,
}

/// Why a call came to nothing.
struct Failure {
    reason: String,
    lost: bool,
}

impl Failure {
    fn of(error: &RedisError, connection: &Connection) -> Self {
        // What Redis says is safe to show: it repeats neither passwords nor values.
        Failure { reason: error.to_string(), lost: connection.is_lost_after(error) }
    }

    fn late(limit: Duration) -> Self {
        Failure { reason: format!("no answer within {limit:?}"), lost: false }
    }
}

impl Link {
    pub(super) fn new(
        component: String,
        client: Client,
        config: &RedisConfig,
        health: &Health,
        counters: &Arc<Counters>,
    ) -> Self {
        let link = Link {
            component,
            client,
            timeout: config.timeout,
            write_timeout: config.write_timeout,
            connect_timeout: config.connect_timeout,
            batch_values_max: config.batch_values_max,
            health: health.clone(),
            counters: counters.clone(),
            state: Mutex::new(State {
                breaker: Breaker::new(config.failures_max, config.pause_min, config.pause_max),
                connection: None,
                generation: 0,
                full: false,
                reason: "not connected yet".to_owned(),
            }),
            lost: Notify::new(),
        };
        link.report(&link.state());
        link
    }

    /// Connects, and connects again whenever the breaker has opened. Never ends.
    pub(super) async fn keep_connected(&self) {
        loop {
            match self.probe().await {
                Ok(connection) => {
                    self.opened(connection);
                    self.watch().await;
                }
                Err(reason) => self.still_away(reason),
            }
            let pause = self.state().breaker.pause();
            sleep(pause).await;
        }
    }

    /// Whether it is asked at the moment.
    pub(super) fn is_up(&self) -> bool {
        !self.state().breaker.is_open()
    }

    /// Whether it is asked, and answered the last time.
    pub(super) fn is_trusted(&self) -> bool {
        let state = self.state();
        !state.breaker.is_open() && !state.breaker.is_doubtful()
    }

    /// The values of the names: those that have come by the deadline.
    pub(super) async fn get(&self, names: &[String], deadline: Instant) -> Vec<Option<Vec<u8>>> {
        let mut values = vec![None; names.len()];
        // Nothing asked is nothing proved.
        let Some(lent) = self.lend().filter(|_| !names.is_empty()) else { return values };
        let calls: Vec<_> =
            names.chunks(self.batch_values_max).map(|chunk| lent.connection.clone().get(chunk)).collect();
        let calls = calls.into_iter().enumerate().map(|(nth, call)| async move { (nth, call.await) });
        let mut calls = stream::iter(calls).buffer_unordered(READS_AT_ONCE);
        let mut answered = false;
        let failure = loop {
            match timeout_at(deadline, calls.next()).await {
                Ok(None) => break None,
                Ok(Some((nth, Ok(found)))) => {
                    answered = true;
                    let slots = values.iter_mut().skip(nth * self.batch_values_max);
                    slots.zip(found).for_each(|(slot, value)| *slot = value);
                }
                Ok(Some((_, Err(error)))) => break Some(Failure::of(&error, &lent.connection)),
                // So many values that only some came in time are no fault of the server's.
                Err(_) if answered => break None,
                Err(_) => break Some(Failure::late(self.timeout)),
            }
        };
        match failure {
            None => self.succeeded(lent.generation),
            Some(failure) => self.failed(lent.generation, failure),
        }
        values
    }

    /// Answers to the commands, within the time that a request has.
    pub(super) async fn ask(&self, commands: Vec<Cmd>, deadline: Instant) -> Option<Vec<RedisResult<Value>>> {
        let lent = self.lend()?;
        let generation = lent.generation;
        let answers = self.call(lent, deadline, self.timeout, |connection| connection.run(commands)).await?;
        self.succeeded(generation);
        Some(answers)
    }

    /// Answers to the commands, behind a request's back. That it answers in so much time does not close a breaker.
    pub(super) async fn ask_slowly(&self, commands: Vec<Cmd>) -> Option<Vec<RedisResult<Value>>> {
        let deadline = Instant::now() + self.write_timeout;
        self.call(self.lend()?, deadline, self.write_timeout, |connection| connection.run(commands)).await
    }

    /// Whether it takes writes, as the last one showed.
    pub(super) fn set_full(&self, full: bool) {
        let mut state = self.state();
        if state.full != full {
            state.full = full;
            tracing::warn!(server = self.component, full, "Redis' memory");
            self.report(&state);
        }
    }

    async fn call<T, F>(
        &self,
        lent: Lent,
        deadline: Instant,
        limit: Duration,
        call: impl FnOnce(Connection) -> F,
    ) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let failure = match timeout_at(deadline, call(lent.connection.clone())).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => Failure::of(&error, &lent.connection),
            Err(_) => Failure::late(limit),
        };
        self.failed(lent.generation, failure);
        None
    }

    /// Returns once the breaker has opened.
    async fn watch(&self) {
        loop {
            tokio::select! {
                () = self.lost.notified() => if !self.is_up() { return },
                () = sleep(PING_EVERY) => {
                    if let Some(lent) = self.lend() {
                        let deadline = Instant::now() + self.timeout;
                        self.call(lent, deadline, self.timeout, Connection::ping).await;
                    }
                }
            }
        }
    }

    async fn probe(&self) -> Result<Connection, String> {
        let deadline = Instant::now() + self.connect_timeout;
        let connected = timeout_at(deadline, self.client.connect()).await;
        let connection = connected
            .map_err(|_| format!("no connection within {:?}", self.connect_timeout))?
            .map_err(|error| error.to_string())?;
        // As quick as requests need it: one that takes longer would only be given up again.
        let deadline = Instant::now() + self.timeout;
        let answered = timeout_at(deadline, connection.clone().ping()).await;
        answered.map_err(|_| format!("no answer within {:?}", self.timeout))?.map_err(|error| error.to_string())?;
        Ok(connection)
    }

    fn lend(&self) -> Option<Lent> {
        let state = self.state();
        let connection = state.connection.clone()?;
        Some(Lent { connection, generation: state.generation })
    }

    fn opened(&self, connection: Connection) {
        let mut state = self.state();
        state.breaker.answered();
        state.connection = Some(connection);
        state.generation += 1;
        state.reason.clear();
        tracing::info!(server = self.component, "Redis is asked");
        self.report(&state);
    }

    fn still_away(&self, reason: String) {
        let mut state = self.state();
        if state.reason != reason {
            tracing::warn!(server = self.component, reason, "Redis is away");
            state.reason = reason;
        }
        self.report(&state);
    }

    fn succeeded(&self, generation: u64) {
        let mut state = self.state();
        if state.generation == generation {
            state.breaker.succeeded();
        }
    }

    fn failed(&self, generation: u64, failure: Failure) {
        self.counters.errors.add(1);
        let mut state = self.state();
        if state.generation != generation || state.connection.is_none() {
            return;
        }
        if failure.lost {
            state.breaker.lost();
        } else {
            state.breaker.failed();
        }
        if state.breaker.is_open() {
            // A new one is made: nobody knows what the old one still owes.
            state.connection = None;
            tracing::warn!(server = self.component, reason = failure.reason, "Redis is not asked any more");
            state.reason = failure.reason;
            self.report(&state);
            self.lost.notify_one();
        }
    }

    fn report(&self, state: &State) {
        let (status, detail) = match (&state.connection, state.full) {
            (None, _) => (Status::Degraded, format!("not asked, vectors are computed instead: {}", state.reason)),
            (Some(_), true) => (Status::Degraded, "full: reads go on, new vectors are not kept".to_owned()),
            (Some(_), false) => (Status::Ok, "answers".to_owned()),
        };
        self.health.set(&self.component, status, detail);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
