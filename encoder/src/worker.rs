//! What a run of a model needs: threads and memory.

use std::sync::{Arc, OnceLock};

use crate::bert::Scratch;
use crate::error::StartError;

/// Threads and memory of a caller of [`Model::encode`](crate::Model::encode), kept from one call to the next.
///
/// Several workers of one thread encode more than one worker of several threads, where there is more than one
/// text: threads that share a product wait for the slower one.
pub struct Worker {
    pub(crate) threads: Arc<Threads>,
    pub(crate) scratch: Scratch,
}

impl Worker {
    /// Starts `threads` threads (at least one).
    pub fn new(threads: usize) -> Result<Self, StartError> {
        Ok(Self { threads: Threads::start(threads)?, scratch: Scratch::default() })
    }

    /// From now on, until others are given.
    pub(crate) fn use_threads(&mut self, threads: &Arc<Threads>) {
        self.threads = threads.clone();
    }
}

/// Threads that share matrix products.
pub(crate) struct Threads {
    pool: rayon::ThreadPool,
    /// Graphs want rten's own; most models are none.
    graph: OnceLock<Arc<rten::ThreadPool>>,
}

impl Threads {
    pub(crate) fn start(count: usize) -> Result<Arc<Self>, StartError> {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(count.max(1)).thread_name(|_| "encoder".to_owned()).build();
        let pool = pool.map_err(|error| StartError { source: Box::new(error) })?;
        Ok(Arc::new(Self { pool, graph: OnceLock::new() }))
    }

    /// Runs on the threads: with one, and called from it, without handing over.
    pub(crate) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    pub(crate) fn for_graphs(&self) -> &Arc<rten::ThreadPool> {
        self.graph.get_or_init(|| Arc::new(rten::ThreadPool::with_num_threads(self.pool.current_num_threads())))
    }
}
