//! Tells dependants where libduckdb lies, so that what they build finds it without
//! LD_LIBRARY_PATH.
//!
//! A library's link arguments do not reach the binaries that use it. Each crate with a binary or
//! a test that links DuckDB therefore has a build.rs that passes on what this one found out:
//!
//! ```text
//! fn main() {
//!     for path in std::env::var("DEP_LAKEHOUSE_DUCK_RPATH").unwrap_or_default().split(':').filter(|p| !p.is_empty()) {
//!         println!("cargo:rustc-link-arg=-Wl,-rpath,{path}");
//!     }
//! }
//! ```

use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if env::var_os("CARGO_FEATURE_BUNDLED").is_some() {
        return;
    }
    let mut paths = vec!["$ORIGIN".to_owned()];
    if let Some(dir) = env::var_os("DUCKDB_LIB_DIR") {
        let dir = Path::new(&dir).canonicalize().unwrap_or_else(|_| dir.into());
        println!("cargo:lib_dir={}", dir.display());
        println!("cargo:rustc-env=DUCK_LIB_DIR={}", dir.display());
        paths.insert(0, dir.display().to_string());
    }
    for path in &paths {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{path}");
    }
    println!("cargo:rpath={}", paths.join(":"));
}
