//! Lets the tests, in which queryd and ingestd run beside it, find libduckdb: see duck/build.rs. vectord itself
//! does not link it.

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    let folder =
        std::env::var("DUCKDB_LIB_DIR").ok().and_then(|folder| std::path::Path::new(&folder).canonicalize().ok());
    if let Some(folder) = folder {
        println!("cargo:rustc-link-arg-tests=-Wl,-rpath,{}", folder.display());
    }
}
