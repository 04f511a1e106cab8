//! When a server is not asked any more, and how long.
//!
//! Closed, it is asked. After `failures_max` failures in a row, or once its connection is lost, open: it is not.
//! Then a probe is made after each pause, by one task and never by a request; a probe that succeeds makes it
//! half open: it is asked again, and the first failure opens it again with a longer pause, the first answer in
//! time closes it. Crates of this kind (recloser, failsafe) let every request through while half open, each of
//! them at the price of a whole timeout, and do not say why they are open: health has to.

use std::time::Duration;

/// The state of one server, without any clock or I/O.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    pause_min: Duration,
    pause_max: Duration,
    failures: u32,
    open: bool,
    next_pause: Duration,
}

impl Breaker {
    /// Open: nobody has seen the server yet.
    pub(super) fn new(failures_max: u32, pause_min: Duration, pause_max: Duration) -> Self {
        Breaker { failures_max, pause_min, pause_max, failures: 0, open: true, next_pause: pause_min }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the last call failed, without that being enough to open it.
    pub(super) fn is_doubtful(&self) -> bool {
        self.failures > 0
    }

    /// An answer in time.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.next_pause = self.pause_min;
    }

    /// No answer, or too late. Opens it at the limit.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.open |= self.failures >= self.failures_max;
    }

    /// There is nothing left to ask: opens it at once.
    pub(super) fn lost(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.open = true;
    }

    /// The probe was answered: half open.
    pub(super) fn answered(&mut self) {
        self.open = false;
        self.failures = self.failures.min(self.failures_max - 1);
    }

    /// How long to wait before the next probe: twice as long from one to the next, until an answer in time.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next_pause;
        self.next_pause = (pause * 2).min(self.pause_max);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn closed() -> Breaker {
        let mut breaker = Breaker::new(3, ms(10), ms(35));
        assert!(breaker.is_open(), "until it is seen");
        breaker.answered();
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_alone() {
        let mut breaker = closed();
        for _ in 0..10 {
            breaker.failed();
            breaker.failed();
            assert!(!breaker.is_open() && breaker.is_doubtful());
            breaker.succeeded();
            assert!(!breaker.is_doubtful());
        }
        breaker.failed();
        breaker.failed();
        breaker.failed();
        assert!(breaker.is_open());
    }

    #[test]
    fn half_open_one_failure_suffices_and_pauses_grow() {
        let mut breaker = closed();
        for _ in 0..3 {
            breaker.failed();
        }
        let mut pauses = Vec::new();
        for _ in 0..4 {
            pauses.push(breaker.pause());
            breaker.answered();
            assert!(!breaker.is_open());
            breaker.failed();
            assert!(breaker.is_open(), "one is enough");
        }
        assert_eq!(pauses, [ms(10), ms(20), ms(35), ms(35)]);
        breaker.answered();
        breaker.succeeded();
        breaker.failed();
        assert!(!breaker.is_open(), "trusted again");
        assert_eq!(breaker.pause(), ms(10));
    }

    #[test]
    fn a_lost_connection_opens_at_once() {
        let mut breaker = closed();
        breaker.lost();
        assert!(breaker.is_open());
    }
}
