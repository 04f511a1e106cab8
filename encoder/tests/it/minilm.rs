//! all-MiniLM-L6-v2, as `./just setup` brings it.

use std::path::PathBuf;

/// Its folder.
pub(crate) fn folder() -> PathBuf {
    testbed::minilm().unwrap()
}
