//! What can go wrong with a log or a snapshot.

use std::io;

use super::format::Unreadable;

/// Names are those of files in the index's folder, never paths.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The disk, a quota or a limit on file sizes has no room: nothing was written, and a later try may
    /// succeed unless the log says that it is [`Poisoned`](LogError::Poisoned).
    #[error("no space left to {action} {file}")]
    NoSpace {
        /// What was to be done.
        action: &'static str,
        /// To which file.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Any other failure of a file operation.
    #[error("could not {action} {file}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To which file.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An earlier write or sync failed, so what the page cache holds may not be on the disk: the log has
    /// to be opened again.
    #[error("the log takes no more records until it is opened again: an earlier write failed")]
    Poisoned,
    /// A record is damaged where no crash can have damaged it.
    #[error("{segment} is damaged at byte {offset}")]
    Corrupt {
        /// The segment's file name.
        segment: String,
        /// Where the first unreadable record begins, in bytes.
        offset: u64,
    },
    /// Records are missing between two segments, before the first or after the last one, or are there twice.
    #[error("record {expected} should come next, but the log goes on with {found} ({segment})")]
    Discontinuous {
        /// The segment where the log should go on.
        segment: String,
        /// The lsn that was to come.
        expected: u64,
        /// The lsn that came.
        found: u64,
    },
    /// The file is another index's.
    #[error("{file} belongs to another index")]
    Foreign {
        /// Its name.
        file: String,
    },
    /// The file is whole, but of a format that this version does not know.
    #[error("{file} is of format version {version}, which is not known here")]
    Version {
        /// Its name.
        file: String,
        /// Its version byte.
        version: u8,
    },
    /// A snapshot's trailer is missing or its content does not match its checksum.
    #[error("{file} is damaged: {reason}")]
    BadSnapshot {
        /// Its name.
        file: String,
        /// How it was noticed.
        reason: &'static str,
    },
    /// Another process, or another part of this one, has the folder open.
    #[error("the index is in use by another process")]
    InUse,
    /// A payload is longer than the options allow.
    #[error("a record of {bytes} bytes is longer than {bytes_max}")]
    TooLong {
        /// Its length.
        bytes: u64,
        /// The longest there may be.
        bytes_max: u64,
    },
    /// What was to take in a record at recovery would not.
    #[error("record {lsn} could not be applied")]
    Apply {
        /// The record's number.
        lsn: u64,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A snapshot is as it was written, and still could not be loaded.
    #[error("{file} could not be loaded")]
    Load {
        /// Its name.
        file: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A snapshot claims records that the log never had.
    #[error("a snapshot at {lsn} is ahead of the log, whose next record is {next_lsn}")]
    Ahead {
        /// Of the snapshot.
        lsn: u64,
        /// Of the log.
        next_lsn: u64,
    },
}

impl LogError {
    /// For `map_err`.
    pub(super) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> LogError {
        move |source| {
            let file = file.to_owned();
            if is_no_space(&source) {
                LogError::NoSpace { action, file, source }
            } else {
                LogError::Io { action, file, source }
            }
        }
    }

    pub(super) fn unreadable(segment: &str, why: Unreadable) -> LogError {
        match why {
            Unreadable::Damaged => LogError::Corrupt { segment: segment.to_owned(), offset: 0 },
            Unreadable::Version(version) => LogError::Version { file: segment.to_owned(), version },
        }
    }
}

/// Too little room, in any of the ways the system puts it.
pub(super) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
