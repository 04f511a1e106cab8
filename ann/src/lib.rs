//! Approximate and exact nearest neighbours over vectors that come, change and go.
//!
//! An engine ([`Engine`]) holds valid [`Vector`]s under dense integer keys and finds the nearest. String
//! ids, metadata, the log and the wire stand above it, in vectord.
//!
//! Invariant: `unsafe` lives in `simd` and `lake/{slab,vectors}.rs` alone, and every block of it says why
//! it is sound. See docs/adr/0030-lake-engine.md.

#![warn(missing_docs)]

mod checked;
mod engine;
pub mod hnsw_rs;
pub mod lake;
mod simd;
mod vector;

pub use engine::*;
pub use vector::{Metric, Vector, VectorError};

#[cfg(test)]
mod tests;
