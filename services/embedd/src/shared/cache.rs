//! The second tier in Redis.
//!
//! It exists so that what one process has computed, or has paid for, every other one has too, also after a
//! restart. Invariants: no call takes longer than `redis.timeout` (waiting for another process: than its deadline);
//! no call fails; nothing is believed that is not whole; nothing is written while a request waits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use kit::Health;
use redis::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::client::{self, OpenError, millis};
use super::counters::Counters;
use super::lease::{Held, Taken};
use super::link::Link;
use super::queue::{Placed, Queue};
use super::shards::Shards;
use super::value::Codec;
use super::{Lease, SharedCache, SharedFigures, lease, name};
use crate::config::RedisConfig;
use crate::embedding::{Embedding, Key};

/// In health: alone, or before the name of the server where there are several.
const COMPONENT: &str = "redis";

/// One Redis, several that share the keys among them, or a Redis Cluster.
pub(crate) struct RedisCache {
    links: Vec<Arc<Link>>,
    shards: Shards,
    codec: Arc<Codec>,
    queue: Queue,
    counters: Arc<Counters>,
    timeout: Duration,
    lock_ttl: Duration,
    poll_min: Duration,
    poll_max: Duration,
    batch_values_max: usize,
    waits: Semaphore,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl RedisCache {
    /// Connects in the background: until then, and whenever it is away, all is a miss and health says degraded.
    /// Needs a runtime.
    ///
    /// # Errors
    /// What no server could make good: a CA file that cannot be read, URLs that the client does not take.
    pub(crate) fn open(config: &RedisConfig, health: &Health) -> Result<Self, OpenError> {
        let clients = client::open(config)?;
        let counters = Arc::new(Counters::default());
        let codec = Arc::new(Codec::new(config));
        let shards = Shards::new(clients.iter().map(|(name, _)| name.as_str()));
        let several = clients.len() > 1;
        let links: Vec<_> = clients
            .into_iter()
            .map(|(name, client)| {
                let component = if several { format!("{COMPONENT} {name}") } else { COMPONENT.to_owned() };
                Arc::new(Link::new(component, client, config, health, &counters))
            })
            .collect();
        let (queue, writer) = Queue::new(config.writes_waiting_bytes_max, &links, &codec, &counters);
        let mut tasks = vec![AbortOnDropHandle::new(tokio::spawn(writer.run()))];
        for link in &links {
            let link = link.clone();
            tasks.push(AbortOnDropHandle::new(tokio::spawn(async move { link.keep_connected().await })));
        }
        Ok(RedisCache {
            links,
            shards,
            codec,
            queue,
            counters,
            timeout: config.timeout,
            lock_ttl: config.lock_ttl,
            poll_min: config.poll_min,
            poll_max: config.poll_max,
            batch_values_max: config.batch_values_max,
            waits: Semaphore::new(config.waits_max.min(Semaphore::MAX_PERMITS)),
            _tasks: tasks,
        })
    }

    /// Whether every server is asked.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        self.links.iter().all(|link| link.is_up())
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// The keys' names by server, each with its position among the keys.
    fn placed<'k>(&self, keys: impl IntoIterator<Item = (usize, &'k Key)>) -> Vec<Vec<(usize, String)>> {
        let mut placed: Vec<_> = self.links.iter().map(|_| Vec::new()).collect();
        for (position, key) in keys {
            placed[self.shards.of(key)].push((position, name::entry(key)));
        }
        placed
    }

    fn decoded(&self, name: &str, value: Vec<u8>) -> Option<Embedding> {
        let decoded = self.codec.decode(name, value);
        if decoded.is_none() {
            self.counters.damaged.add(1);
            tracing::debug!(name, "not a value, or not in the configured form");
        }
        decoded
    }

    /// What came of asking one server for the locks; what the deadline left open is not in it.
    async fn take(&self, link: &Link, names: &[(usize, String)], token: &str, deadline: Instant) -> Vec<Taken> {
        let mut taken = Vec::with_capacity(names.len());
        for chunk in names.chunks(self.batch_values_max) {
            let ttl_ms = millis(self.lock_ttl);
            let commands = chunk.iter().flat_map(|(_, name)| lease::take(name, &name::lock(name), token, ttl_ms));
            let Some(answers) = link.ask(commands.collect(), deadline).await else { break };
            taken.extend(answers.chunks(2).map(lease::taken));
        }
        taken
    }

    /// One look for entries that others compute. Those that have come, and those that will not, are taken out of
    /// `waiting`.
    async fn look(&self, link: &Link, waiting: &mut Vec<(usize, String)>) -> Vec<(usize, Embedding)> {
        let mut found = Vec::new();
        let mut left = Vec::new();
        let names = std::mem::take(waiting);
        for chunk in names.chunks(self.batch_values_max) {
            // The lock first: where it is gone, the entry was there before, or will not come.
            let commands = chunk.iter().flat_map(|(_, name)| {
                [redis::cmd("EXISTS").arg(name::lock(name)).take(), redis::cmd("GET").arg(name).take()]
            });
            let Some(answers) = link.ask(commands.collect(), self.deadline()).await else {
                if link.is_up() {
                    left.extend_from_slice(chunk);
                }
                continue;
            };
            let mut answers = answers.into_iter();
            for (position, name) in chunk {
                match (answers.next(), answers.next()) {
                    (_, Some(Ok(Value::BulkString(value)))) => {
                        found.extend(self.decoded(name, value).map(|entry| (*position, entry)));
                    }
                    (Some(Ok(Value::Int(1))), Some(Ok(Value::Nil))) => left.push((*position, name.clone())),
                    _ => {}
                }
            }
        }
        *waiting = left;
        found
    }
}

#[async_trait]
impl SharedCache for RedisCache {
    async fn get_many(&self, keys: &[Key], ttl: Duration) -> Vec<Option<Embedding>> {
        let deadline = self.deadline();
        let placed = self.placed(keys.iter().enumerate());
        let names: Vec<Vec<String>> =
            placed.iter().map(|names| names.iter().map(|(_, name)| name.clone()).collect()).collect();
        let calls: Vec<_> = self.links.iter().zip(&names).map(|(link, names)| link.get(names, deadline)).collect();
        let values = join_all(calls).await;
        let mut found = vec![None; keys.len()];
        let mut used = Vec::new();
        for (shard, (placed, values)) in placed.into_iter().zip(values).enumerate() {
            for ((position, name), value) in placed.into_iter().zip(values) {
                found[position] = value.and_then(|value| self.decoded(&name, value));
                if found[position].is_some() {
                    used.push((shard, name));
                }
            }
        }
        if !used.is_empty() {
            self.queue.renew(used, ttl);
        }
        found
    }

    fn set_many(&self, mut entries: Vec<(Key, Embedding)>, ttl: Duration, lease: Option<Lease>) {
        let mut lease = lease;
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(self.batch_values_max));
            let batch = entries.into_iter().map(|(key, entry)| (self.shards.of(&key), key, entry)).collect();
            // With the last of them: until then, others are to wait.
            self.queue.set(batch, ttl, if rest.is_empty() { lease.take() } else { None });
            entries = rest;
        }
    }

    async fn lease(&self, keys: &[Key]) -> Lease {
        let deadline = self.deadline();
        let token = Uuid::new_v4().simple().to_string();
        let placed = self.placed(keys.iter().enumerate());
        // A server that has just failed to answer this request is not waited for a second time.
        let calls: Vec<_> = self
            .links
            .iter()
            .zip(&placed)
            .map(|(link, names)| async {
                if link.is_trusted() { Some(self.take(link, names, &token, deadline).await) } else { None }
            })
            .collect();
        let taken = join_all(calls).await;
        let mut held = vec![true; keys.len()];
        let (mut ours, mut needless): (Vec<Placed>, Vec<Placed>) = (Vec::new(), Vec::new());
        for (shard, (placed, taken)) in placed.into_iter().zip(taken).enumerate() {
            let Some(taken) = taken else { continue };
            let mut taken = taken.into_iter();
            for (position, name) in placed {
                let lock = (shard, name::lock(&name));
                match taken.next() {
                    Some(Taken::Others) => held[position] = false,
                    Some(Taken::Needless) => {
                        held[position] = false;
                        needless.push(lock);
                    }
                    // Where the answer did not come, the lock may be ours all the same.
                    Some(Taken::Ours | Taken::Unknown) | None => ours.push(lock),
                }
            }
        }
        drop(Held { locks: needless, token: token.clone(), queue: self.queue.clone() });
        Lease { held, guard: Some(Box::new(Held { locks: ours, token, queue: self.queue.clone() })) }
    }

    async fn wait_many(&self, keys: &[Key], deadline: Instant) -> Vec<Option<Embedding>> {
        let mut found = vec![None; keys.len()];
        let Ok(_waiting) = self.waits.try_acquire() else { return found };
        let mut placed = self.placed(keys.iter().enumerate());
        let mut pause = self.poll_min;
        loop {
            let looks: Vec<_> =
                self.links.iter().zip(&mut placed).map(|(link, names)| self.look(link, names)).collect();
            for (position, entry) in join_all(looks).await.into_iter().flatten() {
                self.counters.waits.add(1);
                found[position] = Some(entry);
            }
            let next = Instant::now() + pause;
            if next >= deadline || placed.iter().all(Vec::is_empty) {
                return found;
            }
            sleep_until(next).await;
            pause = (pause * 2).min(self.poll_max);
        }
    }

    fn figures(&self) -> SharedFigures {
        SharedFigures {
            errors: self.counters.errors.get(),
            dropped: self.counters.dropped.get(),
            damaged: self.counters.damaged.get(),
            waits: self.counters.waits.get(),
            available: self.links.iter().any(|link| link.is_up()),
        }
    }
}
