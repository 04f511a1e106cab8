//! What is written behind the answers.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use redis::{Cmd, RedisResult, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client::millis;
use super::counters::Counters;
use super::link::Link;
use super::value::Codec;
use super::{Lease, lease, name};
use crate::embedding::{Embedding, Key};

/// What an entry takes besides its numbers: its name, commands, and the allocator's share.
const ENTRY_BYTES: usize = 512;
/// Around the configured time to live, so that what was written together does not end together.
const JITTER: std::ops::RangeInclusive<f64> = 0.9..=1.1;

/// A name, and the number of the server that it belongs to.
pub(super) type Placed = (usize, String);

/// Takes work without waiting, and refuses it where too much is waiting already.
#[derive(Clone)]
pub(super) struct Queue {
    send: UnboundedSender<Job>,
    /// In bytes.
    room: Arc<Semaphore>,
    counters: Arc<Counters>,
}

struct Job {
    work: Work,
    _room: OwnedSemaphorePermit,
}

enum Work {
    Set { entries: Vec<(usize, Key, Embedding)>, ttl: Duration, lease: Option<Lease> },
    Renew { entries: Vec<Placed>, ttl: Duration },
    Release { locks: Vec<Placed>, token: String },
}

/// The other end.
pub(super) struct Writer {
    receive: UnboundedReceiver<Job>,
    links: Vec<Arc<Link>>,
    codec: Arc<Codec>,
    counters: Arc<Counters>,
}

impl Queue {
    pub(super) fn new(
        waiting_bytes_max: usize,
        links: &[Arc<Link>],
        codec: &Arc<Codec>,
        counters: &Arc<Counters>,
    ) -> (Self, Writer) {
        // Bounded by `room`, in bytes rather than in jobs.
        let (send, receive) = unbounded_channel();
        let room = Arc::new(Semaphore::new(waiting_bytes_max.min(Semaphore::MAX_PERMITS)));
        let writer = Writer { receive, links: links.to_vec(), codec: codec.clone(), counters: counters.clone() };
        (Queue { send, room, counters: counters.clone() }, writer)
    }

    /// Writes the entries, then lets go of the lease: in this order, so that whoever finds the lock gone finds the
    /// value. What there is no room for is counted.
    pub(super) fn set(&self, entries: Vec<(usize, Key, Embedding)>, ttl: Duration, lease: Option<Lease>) {
        let count = entries.len();
        let bytes = entries.iter().map(|(_, _, entry)| ENTRY_BYTES + size_of_val(&*entry.vector)).sum();
        if !self.put(bytes, Work::Set { entries, ttl, lease }) {
            self.counters.dropped.add(count);
        }
    }

    /// Gives those a new time to live that are in the second half of it.
    pub(super) fn renew(&self, entries: Vec<Placed>, ttl: Duration) {
        // Where there is no room, another use of them will do.
        self.put(entries.len() * ENTRY_BYTES, Work::Renew { entries, ttl });
    }

    /// Deletes those locks that the token still holds.
    pub(super) fn release(&self, locks: Vec<Placed>, token: String) {
        // Where there is no room, they end by themselves.
        self.put(locks.len() * ENTRY_BYTES, Work::Release { locks, token });
    }

    fn put(&self, bytes: usize, work: Work) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) else { return false };
        self.send.send(Job { work, _room: room }).is_ok()
    }
}

impl Writer {
    /// One job after the other, until nobody can add one any more.
    pub(super) async fn run(mut self) {
        while let Some(job) = self.receive.recv().await {
            match job.work {
                Work::Set { entries, ttl, lease } => {
                    self.set(&entries, ttl).await;
                    drop(lease);
                }
                Work::Renew { entries, ttl } => self.renew(entries, ttl).await,
                Work::Release { locks, token } => self.release(&locks, &token).await,
            }
        }
    }

    async fn set(&self, entries: &[(usize, Key, Embedding)], ttl: Duration) {
        let mut commands = self.nothing();
        for (shard, key, entry) in entries {
            let name = name::entry(key);
            match self.codec.encode(&name, entry) {
                Some(value) => {
                    let px = millis(ttl.mul_f64(rand::rng().random_range(JITTER)));
                    commands[*shard].push(redis::cmd("SET").arg(name).arg(value).arg("PX").arg(px).take());
                }
                None => self.counters.dropped.add(1),
            }
        }
        for (shard, link) in self.links.iter().enumerate() {
            let commands = std::mem::take(&mut commands[shard]);
            let count = commands.len();
            if count == 0 {
                continue;
            }
            let answers = link.ask_slowly(commands).await.unwrap_or_default();
            let kept = answers.iter().filter(|answer| answer.is_ok()).count();
            self.counters.dropped.add(count - kept);
            if !answers.is_empty() {
                link.set_full(answers.iter().any(is_out_of_memory));
            }
        }
    }

    async fn renew(&self, entries: Vec<Placed>, ttl: Duration) {
        let mut names: Vec<Vec<String>> = vec![Vec::new(); self.links.len()];
        for (shard, name) in entries {
            names[shard].push(name);
        }
        for (link, names) in self.links.iter().zip(names).filter(|(_, names)| !names.is_empty()) {
            let asked = names.iter().map(|name| redis::cmd("PTTL").arg(name).take()).collect();
            let left = link.ask_slowly(asked).await.unwrap_or_default();
            let due = names.iter().zip(left).filter(|(_, left)| is_due(left, ttl));
            let renewed: Vec<Cmd> = due
                .map(|(name, _)| {
                    let px = millis(ttl.mul_f64(rand::rng().random_range(JITTER)));
                    redis::cmd("PEXPIRE").arg(name).arg(px).take()
                })
                .collect();
            if !renewed.is_empty() {
                // One that was not renewed ends, and is computed again.
                let _answers = link.ask_slowly(renewed).await;
            }
        }
    }

    async fn release(&self, locks: &[Placed], token: &str) {
        let mut commands = self.nothing();
        for (shard, lock) in locks {
            commands[*shard].push(lease::release(lock, token));
        }
        for (link, commands) in self.links.iter().zip(commands).filter(|(_, commands)| !commands.is_empty()) {
            // Locks that could not be released end by themselves.
            let _answers = link.ask_slowly(commands).await;
        }
    }

    fn nothing(&self) -> Vec<Vec<Cmd>> {
        self.links.iter().map(|_| Vec::new()).collect()
    }
}

fn is_out_of_memory(answer: &RedisResult<Value>) -> bool {
    matches!(answer, Err(error) if error.code() == Some("OOM"))
}

/// Negative: it has ended, or somebody has made it last for ever.
fn is_due(left: &RedisResult<Value>, ttl: Duration) -> bool {
    matches!(left, Ok(Value::Int(ms)) if u64::try_from(*ms).is_ok_and(|ms| Duration::from_millis(ms) < ttl / 2))
}
