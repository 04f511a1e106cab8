//! Whether tasks give the worker back in time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How tasks held the one worker of a [`super::TestServer::watched`]. A machine with other work does not
/// show in it: time in which the worker was ready to run and got no processor is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The longest time from one turn of a task that always wants one to its next turn.
    pub longest: Duration,
    /// All time in which the worker could not go on: for a disk, a lock, a thread.
    pub waiting: Duration,
}

/// Longer than any turn that only passes things on, shorter than a statement, a model, a file or a wait for a disk.
const TURN_MAX: Duration = Duration::from_millis(50);
/// For locks that are held for a moment, over all of a test.
const WAITING_MAX: Duration = Duration::from_millis(50);

impl Held {
    /// # Panics
    /// Where a task computed or waited while others wanted their turn.
    #[track_caller]
    pub fn assert_short(&self) {
        assert!(self.longest < TURN_MAX && self.waiting < WAITING_MAX, "a task held the worker: {self:?}");
    }
}

/// What the watch tells its test.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    longest_ns: AtomicU64,
    waiting_ns: AtomicU64,
}

impl Record {
    pub(super) fn held(&self) -> Held {
        let of = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        Held { longest: of(&self.0.longest_ns), waiting: of(&self.0.waiting_ns) }
    }

    /// Wants a turn of this thread's worker again and again, so that the worker never parks, until it is dropped.
    pub(super) async fn watch(self) {
        let clock = Clock::of_this_thread();
        let begun = clock.read();
        let mut last = begun;
        loop {
            tokio::task::yield_now().await;
            let now = clock.read();
            let turn = (now.at - last.at).saturating_sub(now.ready - last.ready);
            let waiting = (now.at - begun.at).saturating_sub(now.ready - begun.ready + now.running - begun.running);
            self.0.longest_ns.fetch_max(turn.as_nanos() as u64, Ordering::Relaxed);
            self.0.waiting_ns.store(waiting.as_nanos() as u64, Ordering::Relaxed);
            last = now;
        }
    }
}

/// What the kernel counts of a thread.
struct Clock(File);

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    /// Brought up to date every few milliseconds only.
    running: Duration,
    /// Without a processor.
    ready: Duration,
}

impl Clock {
    #[allow(clippy::expect_used, reason = "a test that cannot measure has nothing better to do")]
    fn of_this_thread() -> Self {
        Clock(File::open("/proc/thread-self/schedstat").expect("Linux counts for each thread"))
    }

    #[allow(clippy::expect_used, reason = "a test that cannot measure has nothing better to do")]
    fn read(&self) -> Reading {
        let mut text = [0; 96];
        let bytes = self.0.read_at(&mut text, 0).expect("a file of the kernel");
        let text = std::str::from_utf8(&text[..bytes]).expect("numbers");
        let mut counts = text.split_whitespace().map(|count| Duration::from_nanos(count.parse().expect("a number")));
        let mut count = || counts.next().expect("as many as the kernel documents");
        Reading { at: Instant::now(), running: count(), ready: count() }
    }
}
