//! What a run of a model needs: threads and memory.

use std::sync::{Arc, OnceLock};

use crate::bert::Scratch;
use crate::error::StartError;

/// Threads and memory of a caller of [`Model::encode`](crate::Model::encode), kept from one call to the next.
pub struct Worker {
    pub(crate) threads: Threads,
    pub(crate) scratch: Scratch,
}

impl Worker {
    /// Starts `threads` threads (at least one).
    pub fn new(threads: usize) -> Result<Self, StartError> {
        Ok(Self { threads: Threads::start(threads)?, scratch: Scratch::default() })
    }
}

/// Threads that can share the work on a batch.
pub(crate) struct Threads {
    pool: rayon::ThreadPool,
    /// Graphs want rten's own; most models are none.
    graph: OnceLock<Arc<rten::ThreadPool>>,
}

impl Threads {
    pub(crate) fn start(count: usize) -> Result<Self, StartError> {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(count.max(1)).thread_name(|_| "encoder".to_owned()).build();
        let pool = pool.map_err(|error| StartError { source: Box::new(error) })?;
        Ok(Self { pool, graph: OnceLock::new() })
    }

    /// Runs on one of the threads; the others take over what it shares out.
    pub(crate) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Runs on each of the threads, until it has ended on all of them.
    pub(crate) fn on_each(&self, work: impl Fn() + Sync) {
        self.pool.broadcast(|_| work());
    }

    pub(crate) fn for_graphs(&self) -> &Arc<rten::ThreadPool> {
        self.graph.get_or_init(|| Arc::new(rten::ThreadPool::with_num_threads(self.pool.current_num_threads())))
    }
}
