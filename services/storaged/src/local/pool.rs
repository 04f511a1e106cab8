//! Where file operations run: off the async workers, and not more than so many at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::Error;

#[derive(Clone)]
pub(super) struct Pool(Arc<Semaphore>);

impl Pool {
    pub(super) fn new(operations_max: usize) -> Self {
        Pool(Arc::new(Semaphore::new(operations_max)))
    }

    /// Runs `operation` on a blocking thread. It runs to its end even where the returned future
    /// is dropped, and counts against the limit until then.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let lost = |source| Error::Disk { action: "run a file operation", source };
        let permit = self.0.clone().acquire_owned().await.map_err(|error| lost(error.into()))?;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            operation()
        });
        task.await.map_err(|error| lost(error.into()))?
    }
}
