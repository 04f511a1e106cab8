//! Work that computes for long, off the async workers, a few pieces at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::Error;

/// Of the runtime's blocking threads, so many. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool {
    threads: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(threads: usize, waiting_max: usize) -> Self {
        Pool { threads: Arc::new(Semaphore::new(threads)), waiting: Arc::default(), waiting_max }
    }

    /// Runs `work` on a blocking thread, once there is one for it.
    ///
    /// # Errors
    /// Too many wait; work that panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let permit = match self.threads.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting(&self.waiting);
                if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
                    let (what, limit) = ("long bodies", self.waiting_max);
                    return Err(Error::Overloaded { what, limit, config_key: "bodies_waiting_max" });
                }
                // Never closed.
                self.threads.clone().acquire_owned().await.map_err(|_| Error::WorkLost)?
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
        let pool = Pool::new(1, 1);
        let (release, held) = mpsc::channel::<()>();
        let busy = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || held.recv().is_ok()).await }
        });
        while pool.threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let next = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| 7).await }
        });
        while pool.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(|| 8).await, Err(Error::Overloaded { limit: 1, .. })));
        release.send(()).unwrap();
        assert!(busy.await.unwrap().unwrap());
        assert_eq!((next.await.unwrap().unwrap(), pool.run(|| 9).await.unwrap()), (7, 9));
    }
}
