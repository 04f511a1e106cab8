//! Indexes that follow a dataset: each of its versions is brought in as the difference to the one before.
//!
//! [`Datasets`] hears from catalogd which versions there are. Each index that has a source has a follower:
//! it asks queryd for what differs, in the order of ids (`rows`), has the texts embedded two batches at a
//! time, and applies each batch together with the mark of how far it came (`bring`). So a row is embedded at
//! most once for a version, and a crash costs what was with embedd at that moment.
//!
//! See docs/adr/0033-indexes-that-follow.md.

mod batches;
mod bring;
mod catalog;
mod datasets;
mod follower;
mod progress;
mod rows;
mod statements;

pub(crate) use datasets::Datasets;
pub(crate) use follower::{component, follow};
pub(crate) use progress::{FollowStatus, Following, Progress};
