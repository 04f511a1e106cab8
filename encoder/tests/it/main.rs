//! The crate as a caller sees it: on all-MiniLM-L6-v2, and on small models of random weights.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod exact;
mod fidelity;
mod minilm;
mod onnx;
mod opening;
mod pool;
mod reference;
mod texts;
mod tiny;
mod tokens;
