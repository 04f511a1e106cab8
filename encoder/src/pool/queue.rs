//! What waits, and who takes how much of it.
//!
//! Requests take turns, a few texts each, so that one text does not wait behind a hundred thousand. Texts are
//! tokenised a little ahead of the network only: bulk loads do not become a second queue of tokens.

use std::collections::VecDeque;
use std::sync::Arc;

use super::EncoderOptions;
use super::job::Job;
use crate::error::Overloaded;
use crate::tokens::Tokens;

/// Texts of one request before the next one's turn.
const TURN_TEXTS: usize = 8;
/// Texts, and their bytes, that are tokenised without looking at the queue again: about a millisecond.
const TOKENISE_TEXTS: usize = 16;
const TOKENISE_BYTES: usize = 16 << 10;

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queued {
    /// Texts.
    pub texts: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// A text of a request.
pub(super) struct Text<T> {
    pub(super) job: Arc<Job>,
    pub(super) index: usize,
    pub(super) tokens: T,
}

pub(super) enum Work {
    Tokenise(Vec<Text<()>>),
    /// Texts, and whether every other worker is idle, so that their cores are free too.
    Encode(Vec<Text<Tokens>>, bool),
}

/// A request of which some texts are not tokenised.
struct Waiting {
    job: Arc<Job>,
    next: usize,
}

pub(super) struct Queue {
    options: EncoderOptions,
    waiting: VecDeque<Waiting>,
    ready: VecDeque<Text<Tokens>>,
    ready_tokens: usize,
    queued: Queued,
    encoding: usize,
    stopped: bool,
}

impl Queue {
    pub(super) fn new(options: EncoderOptions) -> Self {
        Self {
            options,
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            ready_tokens: 0,
            queued: Queued::default(),
            encoding: 0,
            stopped: false,
        }
    }

    pub(super) fn queued(&self) -> Queued {
        self.queued
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn push(&mut self, job: Arc<Job>) -> Result<(), Overloaded> {
        let bytes = (0..job.len()).map(|index| job.bytes(index)).sum::<usize>();
        if !self.has_room(job.len(), bytes) {
            self.forget_the_gone();
        }
        if !self.has_room(job.len(), bytes) {
            let EncoderOptions { queue_texts_max: texts_max, queue_bytes_max: bytes_max, .. } = self.options;
            let Queued { texts: queued_texts, bytes: queued_bytes } = self.queued;
            return Err(Overloaded { queued_texts, queued_bytes, texts_max, bytes_max });
        }
        self.queued.texts += job.len();
        self.queued.bytes += bytes;
        self.waiting.push_back(Waiting { job, next: 0 });
        Ok(())
    }

    fn has_room(&self, texts: usize, bytes: usize) -> bool {
        self.queued.texts + texts <= self.options.queue_texts_max
            && self.queued.bytes + bytes <= self.options.queue_bytes_max
    }

    /// Makes room of requests that nobody waits for.
    fn forget_the_gone(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|waiting| {
            let over = waiting.job.is_over();
            if over {
                (waiting.next..waiting.job.len()).for_each(|index| self.leaves(&waiting.job, index));
            }
            !over
        });
        self.waiting = waiting;
    }

    fn leaves(&mut self, job: &Job, index: usize) {
        self.queued.texts -= 1;
        self.queued.bytes -= job.bytes(index);
    }

    /// True where another worker would find something.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty() || (!self.waiting.is_empty() && self.wants_tokens())
    }

    fn wants_tokens(&self) -> bool {
        self.ready_tokens < self.options.batch_tokens_max * self.options.workers
    }

    pub(super) fn take(&mut self) -> Option<Work> {
        if self.wants_tokens() {
            let texts = self.take_waiting();
            if !texts.is_empty() {
                return Some(Work::Tokenise(texts));
            }
        }
        let batch = self.take_ready();
        if batch.is_empty() {
            return None;
        }
        let alone = self.options.workers > 1 && self.encoding == 0 && !self.has_work();
        self.encoding += 1;
        Some(Work::Encode(batch, alone))
    }

    fn take_waiting(&mut self) -> Vec<Text<()>> {
        let (mut texts, mut bytes) = (Vec::new(), 0);
        while texts.len() < TOKENISE_TEXTS && bytes < TOKENISE_BYTES {
            let Some(mut turn) = self.waiting.pop_front() else { break };
            let over = turn.job.is_over();
            let until = turn.job.len().min(turn.next + if over { usize::MAX - turn.next } else { TURN_TEXTS });
            while turn.next < until && (over || bytes < TOKENISE_BYTES) {
                if over {
                    self.leaves(&turn.job, turn.next);
                } else {
                    bytes += turn.job.bytes(turn.next);
                    texts.push(Text { job: turn.job.clone(), index: turn.next, tokens: () });
                }
                turn.next += 1;
            }
            if turn.next < turn.job.len() {
                self.waiting.push_back(turn);
            }
        }
        texts
    }

    /// What [`Work::Tokenise`] came to: None for a text that failed.
    pub(super) fn tokenised(&mut self, texts: Vec<Text<Option<Tokens>>>) {
        for Text { job, index, tokens } in texts {
            match tokens {
                None => self.leaves(&job, index),
                Some(tokens) => {
                    self.ready_tokens += tokens.ids.len();
                    self.ready.push_back(Text { job, index, tokens });
                }
            }
        }
    }

    /// This worker's share of what is ready: with others idle, not all of it.
    fn take_ready(&mut self) -> Vec<Text<Tokens>> {
        let idle = self.options.workers.saturating_sub(self.encoding).max(1);
        let share = self.ready_tokens.div_ceil(idle).min(self.options.batch_tokens_max);
        let (mut batch, mut tokens) = (Vec::new(), 0);
        while let Some(text) = self.ready.front() {
            let length = text.tokens.ids.len();
            // A text belongs to the share that has more than half of it.
            let fits =
                batch.is_empty() || (tokens + length / 2 <= share && tokens + length <= self.options.batch_tokens_max);
            if !fits {
                break;
            }
            let Some(text) = self.ready.pop_front() else { break };
            self.ready_tokens -= length;
            self.leaves(&text.job, text.index);
            if !text.job.is_over() {
                tokens += length;
                batch.push(text);
            }
        }
        batch
    }

    /// A worker is done with a batch.
    pub(super) fn encoded(&mut self) {
        self.encoding -= 1;
    }

    /// Everything that waits is dropped, and with it the senders of its answers.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.waiting.clear();
        self.ready.clear();
    }
}

#[cfg(test)]
mod tests;
