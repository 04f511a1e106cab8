//! What waits, and who takes how much of it.
//!
//! Requests take turns, a few texts each, so that one text does not wait behind a hundred thousand. Texts are
//! tokenised a little ahead of the network only: bulk loads do not become a second queue of tokens.

use std::cmp::Reverse;
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
    /// Texts, and how many tokens they have.
    Encode(Vec<Text<Tokens>>, usize),
}

/// A request of which some texts are not tokenised.
struct Waiting {
    job: Arc<Job>,
    next: usize,
}

pub(super) struct Queue {
    options: EncoderOptions,
    workers: usize,
    waiting: VecDeque<Waiting>,
    ready: Vec<Text<Tokens>>,
    ready_tokens: usize,
    /// Tokens of a batch, as [`Self::plan`] has it; None once there are more texts than it knew of.
    share: Option<usize>,
    queued: Queued,
    /// Tokens of the batches that workers are at.
    encoding_tokens: usize,
    idle_workers: usize,
    stopped: bool,
}

impl Queue {
    pub(super) fn new(options: EncoderOptions, workers: usize) -> Self {
        Self {
            options,
            workers,
            waiting: VecDeque::new(),
            ready: Vec::new(),
            ready_tokens: 0,
            share: None,
            queued: Queued::default(),
            encoding_tokens: 0,
            idle_workers: 0,
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

    /// A worker found nothing and waits, until it says [`Self::resumes`].
    pub(super) fn rests(&mut self) {
        self.idle_workers += 1;
    }

    pub(super) fn resumes(&mut self) {
        self.idle_workers -= 1;
    }

    /// Whether one worker has all the work there is, so that the other cores are free for it.
    pub(super) fn one_works(&self) -> bool {
        self.workers > 1 && self.idle_workers + 1 == self.workers && !self.has_work()
    }

    fn wants_tokens(&self) -> bool {
        self.ready_tokens < self.options.batch_tokens_max * self.workers
    }

    pub(super) fn take(&mut self) -> Option<Work> {
        if self.wants_tokens() {
            let texts = self.take_waiting();
            if !texts.is_empty() {
                return Some(Work::Tokenise(texts));
            }
        }
        let batch = self.take_ready();
        let tokens = batch.iter().map(|text| text.tokens.ids.len()).sum();
        self.encoding_tokens += tokens;
        (!batch.is_empty()).then_some(Work::Encode(batch, tokens))
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
                    self.ready.push(Text { job, index, tokens });
                    self.share = None;
                }
            }
        }
    }

    /// Tokens of a batch such that all workers are done at the same time, after as few batches as the limit allows.
    fn plan(&self) -> usize {
        let (workers, batch_tokens_max) = (self.workers, self.options.batch_tokens_max);
        let tokens = self.ready_tokens + self.encoding_tokens;
        let batches = tokens.div_ceil(workers * batch_tokens_max).max(1) * workers;
        tokens.div_ceil(batches)
    }

    /// A share of what is ready, in its order; of what is left for a last batch each, the longest first, as the
    /// short ones then fill up what is left of a share.
    fn take_ready(&mut self) -> Vec<Text<Tokens>> {
        self.leave_out_the_gone();
        let share = *self.share.insert(self.share.unwrap_or_else(|| self.plan()));
        let lengths: Vec<_> = self.ready.iter().map(|text| text.tokens.ids.len()).collect();
        let mut order: Vec<_> = (0..lengths.len()).collect();
        let last = self.ready_tokens <= share * self.workers;
        if last {
            order.sort_by_key(|text| Reverse(lengths[*text]));
        }
        let (mut taken, mut tokens) = (vec![false; lengths.len()], 0);
        for text in order {
            let length = lengths[text];
            // In its order, a text belongs to the share that has more than half of it.
            let part = if last { length } else { length / 2 };
            if tokens == 0 || (tokens + part <= share && tokens + length <= self.options.batch_tokens_max) {
                taken[text] = true;
                tokens += length;
            } else if !last {
                break;
            }
        }
        // Crumbs would cost a batch of their own, which is as long as one of many texts.
        let left = self.ready_tokens - tokens;
        if left < share / 2 && tokens + left <= self.options.batch_tokens_max {
            taken.fill(true);
            tokens += left;
        }
        self.ready_tokens -= tokens;
        let mut taken = taken.into_iter();
        let batch: Vec<_> = self.ready.extract_if(.., |_| taken.next().unwrap_or(false)).collect();
        for text in &batch {
            self.leaves(&text.job, text.index);
        }
        batch
    }

    fn leave_out_the_gone(&mut self) {
        let gone: Vec<_> = self.ready.extract_if(.., |text| text.job.is_over()).collect();
        for text in gone {
            self.ready_tokens -= text.tokens.ids.len();
            self.leaves(&text.job, text.index);
        }
    }

    /// A worker is done with a batch of so many tokens.
    pub(super) fn encoded(&mut self, tokens: usize) {
        self.encoding_tokens -= tokens;
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
