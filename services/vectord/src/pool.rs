//! Work that computes or blocks, off the async workers, a few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::Error;

/// So many threads of the runtime's blocking ones. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool {
    threads: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    what: &'static str,
    config_key: &'static str,
}

/// One that waits, or waited.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// `what` and `config_key` are for the error when more than `waiting_max` would wait.
    pub(crate) fn new(threads: usize, waiting_max: usize, what: &'static str, config_key: &'static str) -> Self {
        let threads = Arc::new(Semaphore::new(threads));
        Pool { threads, waiting: Arc::default(), waiting_max, what, config_key }
    }

    /// Runs `work` on a blocking thread, once there is one for it.
    ///
    /// # Errors
    /// Too many wait; work that panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let permit = match self.threads.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let waiting = Waiting(&self.waiting);
                if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
                    return Err(Error::Overloaded {
                        what: self.what,
                        limit: self.waiting_max,
                        config_key: self.config_key,
                    });
                }
                let permit = self.threads.clone().acquire_owned().await;
                drop(waiting);
                // Never closed.
                permit.map_err(|_| Error::WorkLost)?
            }
        };
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| Error::WorkLost)
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
        assert!(matches!(pool.run(|| 8).await, Err(Error::Overloaded { limit: 1, .. })));
        release.send(()).unwrap();
        assert!(running.await.unwrap().unwrap());
        assert_eq!(waiting.await.unwrap().unwrap(), 7);
        assert_eq!(pool.run(|| 9).await.unwrap(), 9, "nobody waits any more");
    }
}
