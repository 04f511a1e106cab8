use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Pieces that a minute is cut into.
const PIECES: usize = 12;
const PIECE_SECONDS: u64 = 60 / PIECES as u64;

/// A counter that knows how much of it is of the last minute.
pub(crate) struct Recent {
    began: Instant,
    state: Mutex<State>,
}

struct State {
    total: u64,
    /// Counts by the number of the piece of time that they are of.
    pieces: [(u64, u64); PIECES],
}

impl Recent {
    pub(crate) fn new() -> Self {
        Recent { began: Instant::now(), state: Mutex::new(State { total: 0, pieces: [(0, 0); PIECES] }) }
    }

    pub(crate) fn add(&self, count: u64) {
        self.add_at(self.piece(), count);
    }

    /// Since the start.
    pub(crate) fn total(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// Within the last minute.
    pub(crate) fn per_minute(&self) -> u64 {
        self.per_minute_at(self.piece())
    }

    fn piece(&self) -> u64 {
        self.began.elapsed().as_secs() / PIECE_SECONDS
    }

    fn add_at(&self, piece: u64, count: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.total += count;
        let slot = &mut state.pieces[piece as usize % PIECES];
        if slot.0 != piece {
            *slot = (piece, 0);
        }
        slot.1 += count;
    }

    fn per_minute_at(&self, piece: u64) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pieces.iter().filter(|(of, _)| of + PIECES as u64 > piece).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_a_minute_counts_no_more() {
        let recent = Recent::new();
        for (piece, count) in [(0, 5), (3, 2), (11, 1)] {
            recent.add_at(piece, count);
        }
        assert_eq!((recent.per_minute_at(11), recent.per_minute_at(12), recent.per_minute_at(15)), (8, 3, 1));
        recent.add_at(12, 4);
        assert_eq!((recent.per_minute_at(12), recent.total()), (7, 12));
        assert_eq!(recent.per_minute_at(100), 0);
    }
}
