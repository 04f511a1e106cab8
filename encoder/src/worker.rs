//! What a run of a model needs: threads and memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::bert::Scratch;
use crate::error::StartError;

/// Threads and memory of a caller of [`Model::encode`](crate::Model::encode), kept from one call to the next.
///
pub struct Worker {
    pub(crate) crew: Crew,
    pub(crate) scratch: Scratch,
}

impl Worker {
    /// Starts `threads` threads (at least one).
    pub fn new(threads: usize) -> Result<Self, StartError> {
        Ok(Self { crew: Crew { own: Threads::start(threads)?, all: None }, scratch: Scratch::default() })
    }

    /// A worker among others, which has the threads of `all` while it is the only one that works.
    pub(crate) fn among(threads: usize, all: Option<(Arc<Threads>, Arc<AtomicBool>)>) -> Result<Self, StartError> {
        let mut worker = Self::new(threads)?;
        worker.crew.all = all;
        Ok(worker)
    }
}

/// The threads that a worker may use, which changes with what the others do.
pub(crate) struct Crew {
    own: Arc<Threads>,
    /// Those of all workers, and whether only one of these has something to do.
    all: Option<(Arc<Threads>, Arc<AtomicBool>)>,
}

impl Crew {
    pub(crate) fn own(&self) -> &Arc<Threads> {
        &self.own
    }

    /// All where the other workers are idle, so that their cores are free.
    pub(crate) fn now(&self) -> &Arc<Threads> {
        match &self.all {
            Some((all, one_works)) if one_works.load(Ordering::Relaxed) => all,
            _ => &self.own,
        }
    }
}

/// Threads that share the work on a batch.
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

    pub(crate) fn count(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs on the threads: with one, and called from it, without handing over.
    pub(crate) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    pub(crate) fn for_graphs(&self) -> &Arc<rten::ThreadPool> {
        self.graph.get_or_init(|| Arc::new(rten::ThreadPool::with_num_threads(self.pool.current_num_threads())))
    }
}
