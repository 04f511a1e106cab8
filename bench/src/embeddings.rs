//! What the rows about embeddings share: the model and the texts, requests, peers, and a server that embeds.

pub(crate) mod api;
pub(crate) mod log;
pub(crate) mod peer;
pub(crate) mod upstream;
pub(crate) mod work;

// What the encoder's tests measure it by: the network in float64, the same as a graph, the texts.
#[path = "../../encoder/tests/it/exact.rs"]
#[allow(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
pub(crate) mod exact;
#[path = "../../encoder/tests/it/onnx.rs"]
#[allow(clippy::unwrap_used, reason = "a model that cannot be exported cannot be measured")]
pub(crate) mod onnx;
#[path = "../../encoder/tests/it/reference.rs"]
#[allow(clippy::unwrap_used, reason = "a model that cannot be read cannot be measured")]
pub(crate) mod reference;
#[path = "../../encoder/tests/it/texts.rs"]
pub(crate) mod texts;
