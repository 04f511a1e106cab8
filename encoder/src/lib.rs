//! Texts to vectors on this machine's cores.
//!
//! A [`Model`] is a sentence-transformers folder of the BERT family: tokenizer, weights, pooling and
//! normalisation, all read from the folder's own files. An [`Encoder`] is a pool of threads over one shared
//! model: it tokenises, forms batches from what queued while the last ones ran (there is no timer) and
//! answers each request through a oneshot. HTTP, caches and other providers stand above it, in embedd.
//!
//! Two networks do the arithmetic, see docs/adr/0040-encoder.md:
//!
//! - [`Source::Weights`]: `model.safetensors` of BERT and RoBERTa models. The tokens of a batch lie one after
//!   another, without padding, so that a matrix product has as many rows as there are tokens; only
//!   attention looks at one text at a time.
//! - [`Source::Graph`]: `onnx/model.onnx`, any architecture, run by rten over batches of nearly equal lengths.
//!
//! Invariants:
//!
//! - A vector does not depend on the texts that were encoded beside it: bit for bit from weights, within
//!   1e-6 per component from a graph (which pads).
//! - The same text gives the same vector under the same [`Model::fingerprint`], on the same processor.
//! - Nothing here waits for a clock, and every queue has a limit ([`EncoderOptions`]).

#![warn(missing_docs)]

mod architecture;
mod bert;
mod error;
mod folder;
mod graph;
mod model;
mod pool;
mod pooling;
mod recipe;
mod tokens;
mod weights;
mod worker;

pub use error::{EmbedError, EncodeError, OpenError, Overloaded, StartError};
pub use model::{Model, Options, Precision, Source};
pub use pool::{Answer, Embedded, Encoder, EncoderOptions, Input, Queued, Request};
pub use pooling::Pooling;
pub use tokens::{Overlong, Tokens};
pub use worker::Worker;
