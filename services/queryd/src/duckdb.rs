//! DuckDB as a [`SqlEngine`](crate::engine::SqlEngine).

mod adapter;
mod embed;
mod explain;
mod found;
mod scrub;
mod session;
mod setup;

pub use adapter::DuckDb;
pub use setup::{S3, Settings};
