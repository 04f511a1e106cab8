//! What datasets there are: followed through catalogd's Watch, and checked against catalogd for
//! every statement, so that a client reads its own writes.

mod dataset;
mod follower;
mod known;
mod locations;
mod resolver;
mod snapshots;

pub use dataset::{Column, Dataset};
pub(crate) use follower::Follower;
pub(crate) use known::Known;
pub(crate) use locations::Locations;
pub(crate) use resolver::Resolver;
pub(crate) use snapshots::Snapshots;
