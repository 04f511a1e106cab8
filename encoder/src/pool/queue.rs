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

/// Threads that help others at most: steps of a few texts are not worth more.
const HELPERS_MAX: usize = 7;

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
    threads: usize,
    waiting: VecDeque<Waiting>,
    ready: Vec<Text<Tokens>>,
    ready_tokens: usize,
    /// Tokens of a batch, as [`Self::plan`] has it; None once there are more texts than it knew of.
    share: Option<usize>,
    queued: Queued,
    /// Tokens of the batches that threads are at.
    encoding_tokens: usize,
    /// Threads that tokenise, that help others, and that sleep.
    tokenising: usize,
    helping: usize,
    sleeping: usize,
    stopped: bool,
}

impl Queue {
    pub(super) fn new(options: EncoderOptions, threads: usize) -> Self {
        Self {
            options,
            threads,
            waiting: VecDeque::new(),
            ready: Vec::new(),
            ready_tokens: 0,
            share: None,
            queued: Queued::default(),
            encoding_tokens: 0,
            tokenising: 0,
            helping: 0,
            sleeping: 0,
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

    /// Whether a thread that finds nothing has something to help with. Who tokenises a text will encode one.
    pub(super) fn wants_help(&self) -> bool {
        self.tokenising + self.encoding_tokens > 0 && self.helping < HELPERS_MAX
    }

    /// A thread found nothing and helps the others, until it says [`Self::has_helped`].
    pub(super) fn helps(&mut self) {
        self.helping += 1;
    }

    pub(super) fn has_helped(&mut self) {
        self.helping -= 1;
    }

    /// A thread found nothing and sleeps, until it says [`Self::has_slept`].
    pub(super) fn sleeps(&mut self) {
        self.sleeping += 1;
    }

    pub(super) fn has_slept(&mut self) {
        self.sleeping -= 1;
    }

    /// Whether a thread that sleeps would find something, to do or to help with.
    pub(super) fn may_wake(&self) -> bool {
        let has_work = !self.ready.is_empty() || (!self.waiting.is_empty() && self.wants_tokens());
        self.sleeping > 0 && (has_work || self.wants_help())
    }

    fn wants_tokens(&self) -> bool {
        self.ready_tokens < self.options.batch_tokens_max * self.threads
    }

    pub(super) fn take(&mut self) -> Option<Work> {
        if self.wants_tokens() {
            let texts = self.take_waiting();
            if !texts.is_empty() {
                self.tokenising += 1;
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
        self.tokenising -= 1;
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

    /// Tokens of a batch such that all threads are done at the same time, after as few batches as the limit allows.
    fn plan(&self) -> usize {
        let (threads, batch_tokens_max) = (self.threads, self.options.batch_tokens_max);
        let tokens = self.ready_tokens + self.encoding_tokens;
        let batches = tokens.div_ceil(threads * batch_tokens_max).max(1) * threads;
        tokens.div_ceil(batches)
    }

    /// A share of what is ready, in its order; of what is left for a last batch each, the longest first, as the
    /// short ones then fill up what is left of a share.
    fn take_ready(&mut self) -> Vec<Text<Tokens>> {
        self.leave_out_the_gone();
        let share = *self.share.insert(self.share.unwrap_or_else(|| self.plan()));
        let lengths: Vec<_> = self.ready.iter().map(|text| text.tokens.ids.len()).collect();
        let mut order: Vec<_> = (0..lengths.len()).collect();
        let last = self.ready_tokens <= share * self.threads;
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

    /// A thread is done with a batch of so many tokens.
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
