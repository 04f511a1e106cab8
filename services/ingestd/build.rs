//! Lets the binary and the tests find libduckdb: see duck/build.rs.

fn main() {
    let paths = std::env::var("DEP_LAKEHOUSE_DUCK_RPATH").unwrap_or_default();
    for path in paths.split(':').filter(|path| !path.is_empty()) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{path}");
    }
}
