//! Which of several processes computes a text.
//!
//! The pattern of Redis' own documentation: `SET lock token NX PX ttl`, and to let go of it a script
//! that deletes the lock only where it still holds the token, so that nobody deletes another's. A holder that dies
//! frees its locks by their time.

use redis::{Cmd, RedisResult, Value};

use super::queue::{Placed, Queue};

const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Locks of one lease. Dropped, it has them released in the background.
pub(super) struct Held {
    pub(super) locks: Vec<Placed>,
    pub(super) token: String,
    pub(super) queue: Queue,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.locks.is_empty() {
            self.queue.release(std::mem::take(&mut self.locks), std::mem::take(&mut self.token));
        }
    }
}

/// What came of asking for one lock.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is ours, and the entry is not there.
    Ours,
    /// It is ours, and the entry has come between the miss and the lock.
    Needless,
    /// Another process has it.
    Others,
    /// The server would not say: full, or out of order.
    Unknown,
}

/// The two commands that [`taken`] reads the answers of.
pub(super) fn take(entry: &str, lock: &str, token: &str, ttl_ms: u64) -> [Cmd; 2] {
    let set = redis::cmd("SET").arg(lock).arg(token).arg("NX").arg("PX").arg(ttl_ms).take();
    // After the lock: whoever held it before us has written the entry before letting go.
    [set, redis::cmd("EXISTS").arg(entry).take()]
}

pub(super) fn taken(answers: &[RedisResult<Value>]) -> Taken {
    match answers {
        [Ok(Value::Okay), Ok(Value::Int(0))] => Taken::Ours,
        [Ok(Value::Okay), _] => Taken::Needless,
        [Ok(Value::Nil), _] => Taken::Others,
        _ => Taken::Unknown,
    }
}

/// Deletes the lock where the token still holds it.
pub(super) fn release(lock: &str, token: &str) -> Cmd {
    redis::cmd("EVAL").arg(RELEASE).arg(1).arg(lock).arg(token).take()
}
