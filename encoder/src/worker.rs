//! What one thread needs to run a model: its threads and its memory.

use std::sync::Arc;

use crate::bert::Scratch;
use crate::error::StartError;

/// Threads and memory of a caller of [`Model::encode`](crate::Model::encode), kept from one call to the next.
///
/// One thread each, and several of them, encode more than one with several threads: a product that is split
/// waits for its slower half.
pub struct Worker {
    /// Where matrix products run; with one thread, on it and without handing over.
    pub(crate) threads: Arc<rayon::ThreadPool>,
    /// The same for graphs, which want rten's own.
    pub(crate) graph_threads: Option<Arc<rten::ThreadPool>>,
    pub(crate) scratch: Scratch,
    count: usize,
}

impl Worker {
    /// Starts `threads` threads (at least one).
    pub fn new(threads: usize) -> Result<Self, StartError> {
        let count = threads.max(1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|_| "encoder".to_owned()).build();
        let threads = Arc::new(pool.map_err(|error| StartError { source: Box::new(error) })?);
        Ok(Self { threads, graph_threads: None, scratch: Scratch::default(), count })
    }

    pub(crate) fn graph_threads(&mut self) -> &Arc<rten::ThreadPool> {
        let count = self.count;
        self.graph_threads.get_or_insert_with(|| Arc::new(rten::ThreadPool::with_num_threads(count)))
    }
}
