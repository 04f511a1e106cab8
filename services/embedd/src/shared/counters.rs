//! What a shared cache counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Since the start; see [`super::SharedFigures`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) errors: Counter,
    pub(super) dropped: Counter,
    pub(super) damaged: Counter,
    pub(super) waits: Counter,
}

/// Only ever grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
