//! all-MiniLM-L6-v2, as `./just setup` brings it.

use std::path::PathBuf;

/// Its folder.
pub(crate) fn folder() -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/minilm"));
    assert!(folder.join("model.safetensors").exists(), "{} is not there: run ./just setup", folder.display());
    folder
}
