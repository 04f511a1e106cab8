//! The times of objects.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The time of day, but never the same twice: what an entity tag is made of has to differ
/// between any two writes.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last_ns: AtomicU64,
}

impl Clock {
    pub(super) fn tick(&self) -> SystemTime {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let advance = |last: u64| Some(now_ns.max(last.saturating_add(1)));
        let last = match self.last_ns.fetch_update(Ordering::AcqRel, Ordering::Acquire, advance) {
            Ok(last) | Err(last) => last,
        };
        SystemTime::UNIX_EPOCH + Duration::from_nanos(now_ns.max(last.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ticks_are_the_same() {
        let clock = Clock::default();
        let ticks: Vec<_> = (0..10_000).map(|_| clock.tick()).collect();
        assert!(ticks.is_sorted_by(|a, b| a < b));
    }
}
