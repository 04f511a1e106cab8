//! Texts from an Arrow IPC stream and vectors into one: floats without text in between.

mod read;
mod write;

pub(crate) use read::{Texts, read};
pub(crate) use write::write;

/// The column of texts.
const TEXT: &str = "text";

#[cfg(test)]
mod tests;
