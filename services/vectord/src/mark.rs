//! How far an index has followed its dataset, as it is kept.
//!
//! It stands in the log in the same record as the items that it tells of, and at the head of snapshots, so
//! that after a crash it says neither more nor less than is there.

use std::io::{Read, Write};

use crate::Error;
use crate::change::{array, take};
use crate::item::ItemId;

/// How far an index has come. Rows are brought in in the order of their ids, as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// The version that the index holds whole, or the one whose difference to `target` is being brought in; 0:
    /// none, so that `target` is brought in whole.
    pub(crate) version: u64,
    /// The version that is being brought in; 0: none.
    pub(crate) target: u64,
    /// Of `target`, everything up to this id is there.
    pub(crate) after: Option<ItemId>,
    /// Of the version that was brought in last or is being.
    pub(crate) rows_total: u64,
    pub(crate) rows_done: u64,
}

/// What a snapshot with a mark begins with; one without begins as the store's content does.
const MAGIC: [u8; 4] = *b"LKVF";
const VERSION: u8 = 1;

impl Mark {
    /// u64 version, target, total and done; u16 bytes of the id, 0 for none, and the id. Numbers are
    /// little-endian.
    pub(crate) fn put(&self, bytes: &mut Vec<u8>) {
        for number in [self.version, self.target, self.rows_total, self.rows_done] {
            bytes.extend(number.to_le_bytes());
        }
        let id = self.after.as_ref().map_or("", ItemId::as_str);
        bytes.extend((id.len() as u16).to_le_bytes());
        bytes.extend(id.as_bytes());
    }

    /// # Errors
    /// Bytes that are none.
    pub(crate) fn take(from: &mut &[u8]) -> Result<Self, Error> {
        let mut number = || Ok::<_, Error>(u64::from_le_bytes(array(from)?));
        let (version, target, rows_total, rows_done) = (number()?, number()?, number()?, number()?);
        let id_bytes = usize::from(u16::from_le_bytes(array(from)?));
        let id = str::from_utf8(take(from, id_bytes)?).map_err(|_| Error::Content("an id is no text"))?;
        let after = if id.is_empty() { None } else { Some(ItemId::parse(id.to_owned())?) };
        Ok(Mark { version, target, after, rows_total, rows_done })
    }

    /// At the head of a snapshot: `LKVF`, version byte, u16 bytes of the mark, the mark.
    ///
    /// # Errors
    /// What writing met.
    pub(crate) fn write(&self, to: &mut dyn Write) -> Result<(), Error> {
        let mut mark = Vec::new();
        self.put(&mut mark);
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend((mark.len() as u16).to_le_bytes());
        bytes.extend(mark);
        to.write_all(&bytes).map_err(|source| Error::Io { what: "writing a snapshot", source })
    }

    /// The mark at the head of a snapshot, if there is one, and what comes behind it.
    ///
    /// # Errors
    /// What reading met; bytes that are none.
    pub(crate) fn read<'a>(from: &'a mut dyn Read) -> Result<(Option<Self>, impl Read + 'a), Error> {
        let io = |source| Error::Io { what: "reading a snapshot", source };
        let mut magic = [0; 4];
        from.read_exact(&mut magic).map_err(io)?;
        if magic != MAGIC {
            // Read again by whoever reads what is behind.
            return Ok((None, Behind { seen: magic.to_vec(), from }));
        }
        let mut head = [0; 3];
        from.read_exact(&mut head).map_err(io)?;
        let [version, low, high] = head;
        if version != VERSION {
            return Err(Error::Content("its mark is of another version"));
        }
        let mut bytes = vec![0; usize::from(u16::from_le_bytes([low, high]))];
        from.read_exact(&mut bytes).map_err(io)?;
        let mut left = bytes.as_slice();
        let mark = Mark::take(&mut left)?;
        if !left.is_empty() {
            return Err(Error::Content("a mark goes on behind its end"));
        }
        Ok((Some(mark), Behind { seen: Vec::new(), from }))
    }
}

/// A reader, before which something that was read already comes again.
struct Behind<'a> {
    seen: Vec<u8>,
    from: &'a mut dyn Read,
}

impl Read for Behind<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if self.seen.is_empty() {
            return self.from.read(bytes);
        }
        let count = self.seen.len().min(bytes.len());
        bytes[..count].copy_from_slice(&self.seen[..count]);
        self.seen.drain(..count);
        Ok(count)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn mark() -> impl Strategy<Value = Mark> {
        let id = prop::option::of("[a-zé]{1,9}".prop_map(|id| ItemId::parse(id).unwrap()));
        (any::<u64>(), any::<u64>(), id, any::<u64>(), any::<u64>()).prop_map(
            |(version, target, after, rows_total, rows_done)| Mark { version, target, after, rows_total, rows_done },
        )
    }

    fn read_all(mut bytes: &[u8]) -> Result<(Option<Mark>, Vec<u8>), Error> {
        let (mark, mut behind) = Mark::read(&mut bytes)?;
        let mut rest = Vec::new();
        behind.read_to_end(&mut rest).unwrap();
        Ok((mark, rest))
    }

    proptest! {
        #[test]
        fn what_comes_behind_a_mark_is_left_as_it_is(
            mark in prop::option::of(mark()), content in prop::collection::vec(any::<u8>(), 4..40),
        ) {
            prop_assume!(content[..4] != MAGIC);
            let mut bytes = Vec::new();
            mark.iter().for_each(|mark| mark.write(&mut bytes).unwrap());
            bytes.extend(&content);
            prop_assert_eq!(read_all(&bytes).unwrap(), (mark, content));
        }

        #[test]
        fn what_is_cut_is_refused(mark in mark(), at in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            mark.write(&mut bytes).unwrap();
            prop_assert!(read_all(&bytes[..at.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn the_first_version_is_read_for_ever() {
        let stored =
            b"LKVF\x01\x23\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x01\0bLKVI";
        let after = Some(ItemId::parse("b".into()).unwrap());
        let mark = Mark { version: 1, target: 2, after, rows_total: 9, rows_done: 4 };
        assert_eq!(read_all(stored).unwrap(), (Some(mark.clone()), b"LKVI".to_vec()));
        let mut bytes = Vec::new();
        mark.write(&mut bytes).unwrap();
        assert_eq!(bytes, stored[..stored.len() - 4]);
    }
}
