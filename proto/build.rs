//! Compiles the `.proto` files with protox, so that no protoc has to be installed.

use std::error::Error;

const FILES: [&str; 7] = [
    "lakehouse/v1/storage.proto",
    "lakehouse/v1/catalog.proto",
    "lakehouse/v1/query.proto",
    "lakehouse/v1/vectors.proto",
    "lakehouse/v1/embeddings.proto",
    "lakehouse/internal/v1/storage.proto",
    "lakehouse/internal/v1/catalog.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=lakehouse");
    let descriptors = protox::compile(FILES, ["."])?;
    // Chunks of objects are passed on as they came, without a copy.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
