//! Work that computes or blocks, off the async workers, a few pieces at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::{Code, ServiceError};

/// When who was turned away may find room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// So many of the runtime's blocking threads. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    threads: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    what: &'static str,
    config_key: &'static str,
}

/// Why work was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// As many wait as may.
    #[error("{what}: no room for more than {limit} at once ({config_key})")]
    Full {
        /// What the pool is for, in the plural.
        what: &'static str,
        /// How many may wait.
        limit: usize,
        /// What sets it.
        config_key: &'static str,
    },
    /// It panicked.
    #[error("work on the CPU broke off")]
    Lost,
}

impl ServiceError for PoolError {
    fn code(&self) -> Code {
        match self {
            PoolError::Full { .. } => Code::Overloaded,
            PoolError::Lost => Code::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, PoolError::Full { .. }).then_some(RETRY_AFTER)
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// `what` and `config_key` are for the error when more than `waiting_max` would wait.
    pub fn new(threads: usize, waiting_max: usize, what: &'static str, config_key: &'static str) -> Self {
        let threads = Arc::new(Semaphore::new(threads));
        Pool { threads, waiting: Arc::default(), waiting_max, what, config_key }
    }

    /// Runs `work` on a blocking thread, once there is one for it.
    ///
    /// # Errors
    /// Too many wait; work that panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        let permit = match self.threads.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting(&self.waiting);
                if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
                    let Pool { what, waiting_max: limit, config_key, .. } = *self;
                    return Err(PoolError::Full { what, limit, config_key });
                }
                // Never closed.
                self.threads.clone().acquire_owned().await.map_err(|_| PoolError::Lost)?
            }
        };
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| PoolError::Lost)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn who_would_wait_beyond_the_limit_is_told_at_once() {
        let pool = Pool::new(1, 1, "searches", "searches_waiting_max");
        let (release, held) = mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || held.recv().is_ok()).await }
        });
        while pool.threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| 7).await }
        });
        while pool.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let full = pool.run(|| 8).await.unwrap_err().to_string();
        assert_eq!(full, "searches: no room for more than 1 at once (searches_waiting_max)");
        release.send(()).unwrap();
        assert!(running.await.unwrap().unwrap());
        assert_eq!(waiting.await.unwrap().unwrap(), 7);
        assert_eq!(pool.run(|| 9).await.unwrap(), 9, "nobody waits any more");
    }
}
