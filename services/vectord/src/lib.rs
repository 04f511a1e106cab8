//! Vector indexes: approximate and exact nearest neighbours over vectors that come, change and go.
//!
//! For now the crate is the engine alone ([`engine`]): what holds vectors under dense integer keys and
//! finds the nearest. String ids, metadata, the log and the wire stand above it.
//!
//! Invariant: `unsafe` lives in `engine/simd` and `engine/lake/{slab,vectors}.rs` alone, and every block
//! of it says why it is sound. See docs/adr/0030-lake-engine.md.

#![warn(missing_docs)]

pub mod engine;
