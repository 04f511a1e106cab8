//! The document of the REST routes, which others generate clients from.

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_what_was_agreed() {
    let platform = Platform::start().await;
    let mut document = platform.get("openapi.json").await;
    assert_eq!(document["info"]["version"].take(), env!("CARGO_PKG_VERSION"));
    insta::assert_json_snapshot!(document);
}
