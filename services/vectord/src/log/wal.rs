//! The write-ahead log of one index.

use super::LogError;
use super::folder::Folder;
use super::format::{LSN_FIRST, segment_lsn, segment_name};
use super::found::{Closed, Found};
use super::group::{self, Group};
use super::segment::Segment;

/// Of the buffer for short records, so much is kept between groups.
const BUFFER_KEPT_BYTES: usize = 1 << 20;

/// How a log is kept.
#[derive(Debug, Clone)]
pub(crate) struct WalOptions {
    /// A group of records that would make a segment longer than this begins the next one. A longer group
    /// has a segment to itself.
    pub(crate) segment_bytes: u64,
    /// The longest payload that is taken; longer ones that are there are still read.
    pub(crate) record_bytes_max: u32,
}

impl Default for WalOptions {
    /// Segments of 64 MiB, records up to 64 MiB.
    fn default() -> Self {
        WalOptions { segment_bytes: 64 << 20, record_bytes_max: 64 << 20 }
    }
}

/// What opening a log came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Records that were replayed.
    pub(crate) records: u64,
    /// What a crash had left half written.
    pub(crate) cut: Option<Cut>,
}

/// The end of a log that was dropped: it had never been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The segment's file name.
    pub(crate) segment: String,
    /// Where the last whole record ends, in bytes.
    pub(crate) offset: u64,
    /// How many bytes were dropped.
    pub(crate) bytes: u64,
}

/// An open log.
///
/// [`append`](Wal::append) gives records their numbers (lsn) and writes them, [`sync`](Wal::sync) makes all
/// of them durable: only then may they be acknowledged. One sync for many groups is the caller's to arrange.
///
/// After [`LogError::NoSpace`] of an append the log is as before and usable. After any other failed write or
/// sync it is poisoned, as it is not known any more what of the page cache is on the disk: records appended
/// since the last sync are dropped, and every call but the readers' answers [`LogError::Poisoned`].
#[derive(Debug)]
pub(crate) struct Wal {
    folder: Folder,
    options: WalOptions,
    /// Earlier segments, oldest first.
    closed: Vec<Closed>,
    segment: Segment,
    next_lsn: u64,
    synced_lsn: u64,
    is_poisoned: bool,
    buffer: Vec<u8>,
}

impl Wal {
    /// Opens the log in `folder`, beginning one where there is none, and gives `apply` every record from
    /// `from_lsn` (what the snapshot in use does not hold) on, in order.
    ///
    /// A torn tail is cut, durably, before a new record can come. Segments that end before `from_lsn` are
    /// not read.
    ///
    /// # Errors
    /// [`LogError::Corrupt`], [`LogError::Discontinuous`], [`LogError::Foreign`] or [`LogError::Version`]
    /// for files that are not as a crash can have left them, and [`LogError::Apply`] with what `apply` said:
    /// nothing is changed then; the errors of file operations.
    pub(crate) fn open(
        folder: &Folder,
        options: WalOptions,
        from_lsn: u64,
        mut apply: impl FnMut(u64, &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<(Self, Recovery), LogError> {
        let from_lsn = from_lsn.max(LSN_FIRST);
        let segments = folder.numbers(segment_lsn)?;
        let mut found = Found {
            folder,
            from_lsn,
            apply: &mut |lsn, payload| apply(lsn, payload),
            recovery: Recovery { records: 0, cut: None },
            closed: Vec::new(),
            next_lsn: from_lsn,
        };
        let segment = found.read(&segments)?;
        let Found { recovery, closed, next_lsn, .. } = found;
        let wal = Wal {
            folder: folder.clone(),
            options,
            closed,
            segment,
            next_lsn,
            synced_lsn: next_lsn,
            is_poisoned: false,
            buffer: Vec::new(),
        };
        Ok((wal, recovery))
    }

    /// The number that the next record gets. A snapshot of what the log has now is named by it, and replay
    /// on top of that begins with it.
    pub(crate) fn next_lsn(&self) -> u64 {
        self.next_lsn
    }

    /// Every record before this one is durable.
    #[cfg(test)]
    pub(crate) fn synced_lsn(&self) -> u64 {
        self.synced_lsn
    }

    /// What all segments take, in bytes, without space made ready.
    pub(crate) fn bytes(&self) -> u64 {
        self.closed.iter().map(|closed| closed.bytes).sum::<u64>() + self.segment.end()
    }

    /// Whether the log has to be opened again before it takes records.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }

    /// Writes `payloads` as consecutive records, all or none, and gives the first one's lsn (with no
    /// payload: the lsn that the next record gets). They are durable after the next [`sync`](Wal::sync).
    ///
    /// # Errors
    /// [`LogError::TooLong`] and [`LogError::NoSpace`]: the log goes on. [`LogError::Poisoned`] and errors
    /// of file operations: it does not.
    pub(crate) fn append<P: AsRef<[u8]>>(&mut self, payloads: &[P]) -> Result<u64, LogError> {
        self.check_usable()?;
        let first_lsn = self.next_lsn;
        let bytes_max = self.options.record_bytes_max;
        let lengths: Vec<u32> = payloads
            .iter()
            .map(|payload| {
                let bytes = payload.as_ref().len() as u64;
                let fits = u32::try_from(bytes).ok().filter(|bytes| *bytes <= bytes_max);
                fits.ok_or(LogError::TooLong { bytes, bytes_max: bytes_max.into() })
            })
            .collect::<Result<_, _>>()?;
        let group_bytes = group::records_bytes(lengths.iter().map(|bytes| u64::from(*bytes)));
        if group_bytes == 0 {
            return Ok(first_lsn);
        }
        if !self.segment.is_empty() && self.segment.end() + group_bytes > self.options.segment_bytes {
            self.rotate()?;
        }
        let mut group = Group::new(std::mem::take(&mut self.buffer));
        for (lsn, (payload, payload_bytes)) in (first_lsn..).zip(payloads.iter().zip(lengths)) {
            group.push(payload.as_ref(), payload_bytes, lsn, self.synced_lsn, self.segment.seed());
        }
        let appended = self.segment.append(&group);
        self.buffer = group.into_buffer();
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        if let Err(error) = appended {
            if !matches!(error, LogError::NoSpace { .. }) || self.segment.undo().is_err() {
                self.poison();
            }
            return Err(error);
        }
        self.next_lsn += payloads.len() as u64;
        Ok(first_lsn)
    }

    /// Makes every record durable that was appended.
    ///
    /// # Errors
    /// Every one of them poisons the log.
    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        let synced = self.segment.sync();
        self.settle(synced)
    }

    /// Removes the segments all of whose records are before `lsn`.
    ///
    /// # Errors
    /// Those of file operations; the log stays usable, and a later call removes what is left.
    pub(crate) fn truncate_before(&mut self, lsn: u64) -> Result<(), LogError> {
        let seconds = self.closed.iter().skip(1).map(|closed| closed.first_lsn).chain([self.segment.first_lsn()]);
        let count = seconds.take_while(|second| *second <= lsn).count().min(self.closed.len());
        // Oldest first: whatever stops it, what is left is without a gap.
        for _ in 0..count {
            self.folder.remove(&segment_name(self.closed[0].first_lsn))?;
            self.closed.remove(0);
        }
        if count > 0 { self.folder.sync() } else { Ok(()) }
    }

    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: std::fs::File) {
        self.segment.replace_file(file);
    }

    /// Ends the segment, which is on the disk whole before there is a next one.
    fn rotate(&mut self) -> Result<(), LogError> {
        let sealed = self.segment.seal();
        self.settle(sealed)?;
        match Segment::create(&self.folder, self.next_lsn) {
            Ok(next) => {
                let last = std::mem::replace(&mut self.segment, next);
                self.closed.push(Closed { first_lsn: last.first_lsn(), bytes: last.end() });
                Ok(())
            }
            Err(error) => {
                // With its successor's file there, the segment must not grow.
                let is_undone = !self.folder.has(&segment_name(self.next_lsn));
                if !matches!(error, LogError::NoSpace { .. }) || !is_undone {
                    self.poison();
                }
                Err(error)
            }
        }
    }

    fn settle(&mut self, synced: Result<(), LogError>) -> Result<(), LogError> {
        match synced {
            Ok(()) => self.synced_lsn = self.next_lsn,
            Err(_) => self.poison(),
        }
        synced
    }

    fn check_usable(&self) -> Result<(), LogError> {
        if self.is_poisoned { Err(LogError::Poisoned) } else { Ok(()) }
    }

    fn poison(&mut self) {
        self.is_poisoned = true;
        // What was not acknowledged should not come back; where even this fails, it may.
        let _first_error_counts = self.segment.undo_unsynced();
    }
}
