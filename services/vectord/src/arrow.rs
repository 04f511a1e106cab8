//! Items and answers as Arrow: floats without text in between.

mod column;
mod read;
mod write;

pub(crate) use column::Texts;
pub(crate) use read::{items_of, read};
pub(crate) use write::write;

const ID: &str = "id";
const VECTOR: &str = "vector";
const TEXT: &str = "text";
const METADATA: &str = "metadata";

#[cfg(test)]
mod tests;
