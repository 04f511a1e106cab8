//! Work on the CPU, off the async workers, a few at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::Error;

#[derive(Clone)]
pub(crate) struct Pool(Arc<Semaphore>);

impl Pool {
    pub(crate) fn new(size: usize) -> Self {
        Pool(Arc::new(Semaphore::new(size)))
    }

    /// Runs `work` on a blocking thread, once there is one for it.
    ///
    /// # Errors
    /// Work that panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        // Never closed.
        let permit = self.0.clone().acquire_owned().await.map_err(|error| Error::Broken(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|error| Error::Broken(error.to_string()))
    }
}
