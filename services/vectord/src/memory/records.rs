//! Records by key, read without a lock.

use std::sync::OnceLock;

use ann::Key;
use arc_swap::ArcSwapAny;
use triomphe::ThinArc;

use crate::item::Record;

type Cell = ArcSwapAny<Option<ThinArc<u16, u8>>>;

/// The first piece has so many cells; each further one doubles what there is.
const FIRST_CELLS: usize = 1 << 10;
const PIECES: usize = 21;

/// A table that grows by pieces and never moves: readers need no lock to find a cell.
pub(super) struct Records {
    pieces: [OnceLock<Box<[Cell]>>; PIECES],
}

impl Records {
    pub(super) fn new() -> Self {
        Self { pieces: [const { OnceLock::new() }; PIECES] }
    }

    pub(super) fn get(&self, key: Key) -> Option<Record> {
        let (piece, at) = place(key);
        self.pieces[piece].get()?.get(at)?.load_full().map(Record::from_thin)
    }

    /// What `read` makes of the record, without counting a reference.
    pub(super) fn peek<T>(&self, key: Key, read: impl FnOnce(&str) -> T) -> Option<T> {
        let (piece, at) = place(key);
        let cell = self.pieces[piece].get()?.get(at)?.load();
        let thin = cell.as_ref()?;
        let id = thin.slice.get(..usize::from(thin.header.header))?;
        Some(read(std::str::from_utf8(id).ok()?))
    }

    pub(super) fn set(&self, key: Key, record: Option<Record>) {
        let (piece, at) = place(key);
        let cells = self.pieces[piece].get_or_init(|| (0..cells(piece)).map(|_| Cell::from(None)).collect());
        cells[at].store(record.map(Record::into_thin));
    }

    /// Of the table alone.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pieces.iter().filter_map(|piece| piece.get()).map(|cells| size_of_val::<[Cell]>(cells)).sum()
    }
}

fn cells(piece: usize) -> usize {
    FIRST_CELLS << piece.saturating_sub(1)
}

/// The piece and the cell in it: pieces begin at 0, 1 × first, 2 × first, 4 × first, …
fn place(key: Key) -> (usize, usize) {
    let key = key as usize;
    match (key / FIRST_CELLS).checked_ilog2() {
        None => (0, key),
        Some(log) => (log as usize + 1, key - (FIRST_CELLS << log)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_cell_of_its_own() {
        let mut expected = (0, 0);
        for key in 0..(FIRST_CELLS as u32 * 9) {
            assert_eq!(place(key), expected, "{key}");
            expected =
                if expected.1 + 1 == cells(expected.0) { (expected.0 + 1, 0) } else { (expected.0, expected.1 + 1) };
        }
        assert!(place(ann::KEYS_MAX).0 < PIECES);
    }

    #[test]
    fn a_record_is_found_until_it_is_taken_out() {
        let records = Records::new();
        assert!(records.get(5).is_none());
        records.set(70_000, Some(Record::from_parts("w-042", "")));
        assert_eq!(records.get(70_000).unwrap().id(), "w-042");
        assert_eq!(records.peek(70_000, str::len), Some(5));
        records.set(70_000, None);
        assert!(records.get(70_000).is_none());
    }
}
