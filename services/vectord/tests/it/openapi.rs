//! The document of the REST routes, which others generate clients from.

use serde_json::Value;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_what_was_agreed() {
    let platform = Platform::start().await;
    let url = platform.vectord.url().join("openapi.json").unwrap();
    let mut document: Value = platform.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["info"]["version"].take(), env!("CARGO_PKG_VERSION"));
    insta::assert_json_snapshot!(document);
}
