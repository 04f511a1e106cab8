//! Threads over one model, and the queue before them.

mod job;
mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rayon::prelude::*;
use tokio::sync::oneshot;

pub use job::{Answer, Embedded, Input, Request};
pub use queue::Queued;

use crate::bert::Scratch;
use crate::error::{EmbedError, EncodeError, Overloaded, StartError};
use crate::model::Model;
use crate::pooling;
use crate::tokens::Tokens;
use crate::worker::Threads;
use job::Job;
use queue::{Queue, Text, Work};

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
        Self { threads, batch_tokens_max: 256, queue_texts_max: 100_000, queue_bytes_max: 64 << 20 }
    }
}

/// A pool of threads that turns texts into vectors, each a batch of its own; who finds none helps the others. Dropping it
/// ends the threads, after the batch that each is at; what waits is answered [`EmbedError::Stopped`].
pub struct Encoder {
    shared: Arc<Shared>,
    /// Ends with the threads. Some until the encoder is dropped.
    ends: Option<JoinHandle<()>>,
}

struct Shared {
    model: Arc<Model>,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Counts changes of the queue, for who helps: there may be something to take.
    changes: AtomicU64,
    threads: Threads,
}

impl Encoder {
    /// Starts the threads.
    pub fn start(model: Arc<Model>, options: EncoderOptions) -> Result<Self, StartError> {
        let count = options.threads.max(1);
        let (queue, threads) = (Mutex::new(Queue::new(options, count)), Threads::start(count)?);
        let shared = Arc::new(Shared { model, queue, wake: Condvar::new(), changes: AtomicU64::new(0), threads });
        let serves = shared.clone();
        let ends = thread::Builder::new().name("encoders".to_owned());
        let ends = ends.spawn(move || serves.threads.on_each(|| serves.serve()));
        Ok(Self { shared, ends: Some(ends.map_err(|error| StartError { source: Box::new(error) })?) })
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
            self.shared.change(|queue| queue.push(job))?;
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
        self.shared.change(Queue::stop);
        self.shared.wake.notify_all();
        if let Some(ends) = self.ends.take() {
            // A thread catches what panics in it; there is nothing to hear from it.
            let _ = ends.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes somebody where there is something to do after it.
    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue();
        let changed = change(&mut queue);
        self.changes.fetch_add(1, Ordering::Release);
        self.wake_one(&queue);
        changed
    }

    fn wake_one(&self, queue: &Queue) {
        if queue.may_wake() {
            self.wake.notify_one();
        }
    }

    /// On each of the threads.
    fn serve(&self) {
        let mut scratch = Scratch::default();
        while let Some(work) = self.next() {
            match work {
                Work::Tokenise(texts) => self.tokenise(texts),
                Work::Encode(batch, tokens) => {
                    self.encode(batch, &mut scratch);
                    self.change(|queue| queue.encoded(tokens));
                }
            }
        }
    }

    /// None once the encoder is dropped.
    fn next(&self) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if queue.stopped() {
                return None;
            }
            if let Some(work) = queue.take() {
                self.wake_one(&queue);
                return Some(work);
            }
            if queue.wants_help() {
                queue.helps();
                self.wake_one(&queue);
                let seen = self.changes.load(Ordering::Acquire);
                drop(queue);
                self.help(seen);
                queue = self.queue();
                queue.has_helped();
            } else {
                queue.sleeps();
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.has_slept();
            }
        }
    }

    /// Takes over parts of what others do, until there may be something to take from the queue.
    fn help(&self, seen: u64) {
        while self.changes.load(Ordering::Acquire) == seen {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                thread::yield_now();
            }
        }
    }

    fn tokenise(&self, texts: Vec<Text<()>>) {
        // Others help.
        let tokenised = texts.into_par_iter().map(|Text { job, index, .. }| {
            let tokens = catch_unwind(AssertUnwindSafe(|| job.tokenise(index, &self.model)));
            let tokens = tokens.unwrap_or_else(|_| Err(EncodeError::because("tokenising panicked").into()));
            let tokens = tokens.map_err(|error| job.fail(error)).ok();
            Text { job, index, tokens }
        });
        let tokenised = tokenised.collect();
        self.change(|queue| queue.tokenised(tokenised));
    }

    fn encode(&self, batch: Vec<Text<Tokens>>, scratch: &mut Scratch) {
        let tokens: Vec<_> = batch.iter().map(|text| &text.tokens).collect();
        let vectors = catch_unwind(AssertUnwindSafe(|| self.model.pooled(&tokens, &self.threads, scratch)));
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
