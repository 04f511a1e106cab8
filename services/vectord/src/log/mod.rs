//! What makes an index durable: a write-ahead log, and snapshots that shorten its replay.
//!
//! One folder per index. `wal-{first lsn}.log` are the log's segments, `snapshot-{lsn}` the snapshots, `.tmp-…`
//! one that is being written. Records are numbered from [`LSN_FIRST`] without a gap; a snapshot of lsn `n`
//! holds what the records before `n` did. What the bytes are is in `format.rs`.
//!
//! Recovery: [`Folder::open`], [`Snapshots::open`] and [`Snapshots::restore`], then [`Wal::open`] from the lsn
//! that restoring gave. A checkpoint: [`Snapshots::write`] at [`Wal::next_lsn`], `SnapshotWriter::seal`,
//! [`Snapshots::checkpoint`]. All of it blocks: it belongs on a thread of its own.
//!
//! Invariant: a record that was there when a [`Wal::sync`] succeeded is replayed by every later open, or the
//! open fails and says where the damage is. Only what was never synced is ever cut.
//! Invariant: no failure is tried over on the same pages: after a failed sync nothing is acknowledged before
//! the files have been read again.

mod error;
mod folder;
mod format;
mod found;
mod group;
mod replay;
mod segment;
mod snapshot;
mod snapshots;
mod tail;
#[cfg(test)]
mod tests;
mod wal;

pub(crate) use error::LogError;
pub(crate) use folder::Folder;
#[cfg(test)]
pub(crate) use format::IndexId;
pub(crate) use format::{LSN_FIRST, snapshot_lsn, snapshot_name};
#[cfg(test)]
pub(crate) use snapshot::{SealedSnapshot, SnapshotReader};
pub(crate) use snapshots::Snapshots;
#[cfg(test)]
pub(crate) use wal::Recovery;
pub(crate) use wal::{Wal, WalOptions};
