//! Threads over one model, and the queue before them.

mod job;
mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rayon::prelude::*;
use tokio::sync::oneshot;

pub use job::{Answer, Embedded, Input, Request};
pub use queue::Queued;

use crate::error::{EmbedError, EncodeError, Overloaded, StartError};
use crate::model::Model;
use crate::pooling;
use crate::tokens::Tokens;
use crate::worker::{Threads, Worker};
use job::Job;
use queue::{Queue, Text, Work};

/// Threads that share a batch: two of them wait less for each other than they gain, as both look through the same
/// weights at the same time.
const WORKER_THREADS: usize = 2;

/// Limits of an [`Encoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderOptions {
    /// Threads that tokenise and encode. Default: one per core.
    pub threads: usize,
    /// Tokens that are encoded together, though always a whole text. More does not encode faster: see
    /// docs/adr/0040-encoder.md.
    pub batch_tokens_max: usize,
    /// Texts that may wait.
    pub queue_texts_max: usize,
    /// Bytes of the texts that may wait (a given token id counts as four).
    pub queue_bytes_max: usize,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { threads, batch_tokens_max: 384, queue_texts_max: 100_000, queue_bytes_max: 64 << 20 }
    }
}

/// A pool of threads that turns texts into vectors. Dropping it ends the threads, after the batch that each
/// is at; what waits is answered [`EmbedError::Stopped`].
pub struct Encoder {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    model: Arc<Model>,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// [`Queue::one_works`], as of the last change.
    one_works: Arc<AtomicBool>,
}

impl Encoder {
    /// Starts the threads.
    pub fn start(model: Arc<Model>, options: EncoderOptions) -> Result<Self, StartError> {
        let threads = options.threads.max(1);
        let workers = threads.div_ceil(WORKER_THREADS);
        let queue = Mutex::new(Queue::new(options, workers));
        let shared = Arc::new(Shared { model, queue, wake: Condvar::new(), one_works: Arc::default() });
        let mut encoder = Self { shared, threads: Vec::with_capacity(workers) };
        // For a worker that has all the work there is.
        let all = if workers > 1 { Some(Threads::start(threads)?) } else { None };
        for number in 0..workers {
            let own = WORKER_THREADS.min(threads - number * WORKER_THREADS);
            let all = all.as_ref().map(|all| (all.clone(), encoder.shared.one_works.clone()));
            let (shared, worker) = (encoder.shared.clone(), Worker::among(own, all)?);
            let thread = thread::Builder::new().name(format!("encoder-{number}"));
            let thread = thread.spawn(move || shared.serve(worker));
            encoder.threads.push(thread.map_err(|error| StartError { source: Box::new(error) })?);
        }
        Ok(encoder)
    }

    /// The model that all threads share.
    pub fn model(&self) -> &Arc<Model> {
        &self.shared.model
    }

    /// What waits now.
    pub fn queued(&self) -> Queued {
        self.shared.queue().queued()
    }

    /// Queues a request. Texts whose receiver is dropped before their turn are not encoded.
    ///
    /// A receiver whose sender is gone means [`EmbedError::Stopped`]. A request beyond
    /// [`EncoderOptions::queue_texts_max`] all by itself is [`Overloaded`] at all times.
    pub fn submit(&self, request: Request) -> Result<oneshot::Receiver<Answer>, Overloaded> {
        let (sender, receiver) = oneshot::channel();
        if let Some(job) = Job::new(request, self.shared.model.normalises(), sender) {
            let mut queue = self.shared.queue();
            queue.push(job)?;
            self.shared.note(&queue);
            drop(queue);
            self.shared.wake.notify_one();
        }
        Ok(receiver)
    }

    /// Queues a request and waits for its answer.
    pub async fn embed(&self, request: Request) -> Answer {
        self.submit(request)?.await.unwrap_or(Err(EmbedError::Stopped))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.shared.queue().stop();
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A thread catches what panics in it; there is nothing to hear from it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut worker: Worker) {
        // On one of the worker's own threads, so that nothing has to be handed over to it.
        let own = worker.crew.own().clone();
        own.install(|| {
            while let Some(work) = self.next() {
                match work {
                    Work::Tokenise(texts) => self.tokenise(texts),
                    Work::Encode(batch, tokens) => {
                        self.encode(batch, &mut worker);
                        self.queue().encoded(tokens);
                    }
                }
            }
        });
    }

    /// For who is in the midst of a batch.
    fn note(&self, queue: &Queue) {
        self.one_works.store(queue.one_works(), Ordering::Relaxed);
    }

    /// None once the encoder is dropped.
    fn next(&self) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if queue.stopped() {
                return None;
            }
            if let Some(work) = queue.take() {
                self.note(&queue);
                if queue.has_work() {
                    self.wake.notify_one();
                }
                return Some(work);
            }
            queue.rests();
            self.note(&queue);
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.resumes();
        }
    }

    fn tokenise(&self, texts: Vec<Text<()>>) {
        // On the worker's threads.
        let tokenised = texts.into_par_iter().map(|Text { job, index, .. }| {
            let tokens = catch_unwind(AssertUnwindSafe(|| job.tokenise(index, &self.model)));
            let tokens = tokens.unwrap_or_else(|_| Err(EncodeError::because("tokenising panicked").into()));
            let tokens = tokens.map_err(|error| job.fail(error)).ok();
            Text { job, index, tokens }
        });
        let tokenised = tokenised.collect();
        self.queue().tokenised(tokenised);
    }

    fn encode(&self, batch: Vec<Text<Tokens>>, worker: &mut Worker) {
        let tokens: Vec<_> = batch.iter().map(|text| &text.tokens).collect();
        let vectors = catch_unwind(AssertUnwindSafe(|| self.model.pooled(&tokens, worker)));
        match vectors.unwrap_or_else(|_| Err(EncodeError::because("the network panicked"))) {
            Ok(vectors) => {
                for (text, mut vector) in batch.iter().zip(vectors) {
                    if text.job.normalise() {
                        pooling::normalise(&mut vector);
                    }
                    text.job.deliver(text.index, vector, &text.tokens);
                }
            }
            Err(error) => batch.iter().for_each(|text| text.job.fail(error.clone().into())),
        }
    }
}
