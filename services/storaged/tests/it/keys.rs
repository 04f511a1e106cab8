//! Which keys there are, and whose.

use proto::v1::{HeadRequest, ListRequest};
use reqwest::{Method, StatusCode};

use crate::harness::{Backend, Storage, json, put_messages, refusal};

pub(crate) async fn invalid_keys_are_refused(storage: &Storage) {
    let long = "x".repeat(1_025);
    let invalid =
        ["", "/a", "a//b", "a/", "a%2F", "%2Fa", "a%00b", "a%0Ab", "a%7F", "a%C2%85", "%ff", "a%2", "a%zz", &long];
    for path in invalid {
        for method in [Method::PUT, Method::GET, Method::DELETE] {
            let answer = storage.request(method.clone(), path).body("").send().await.unwrap();
            assert_eq!(refusal(answer).await, (400, "invalid_argument".into()), "{method} {path}");
        }
    }
    // Clients resolve dots before they send, so these go out as they are.
    for path in [".", "..", "a/../b", "a/./b", "%2e%2e/b", "a/%2e"] {
        let head = format!("GET /v1/storage/{path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let answer = crate::harness::answer_head(&mut storage.raw(&head).await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    for key in ["", "/a", "a//b", "a/", "..", "a\0b", &long] {
        let refused = storage.bucket().head(HeadRequest { key: key.to_owned() }).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{key}");
    }
}

pub(crate) async fn odd_keys_are_only_odd(storage: &Storage) {
    let mut keys =
        vec!["odd/a+", "odd/a b", "odd/...", "odd/.hidden", "odd/ü", "odd/日本", "odd/a&b=c;d,e'f\"g", "odd/(x)!~*$@:"];
    let long = format!("odd/{}", "x".repeat(240));
    let deep = format!("odd/{}z", "d/".repeat(100));
    if storage.backend != Backend::Rclone {
        // Its file system's and its own encoding's limits, and no key that is also a folder.
        keys.extend(["odd/100%", "odd/a%2Fb", "odd/a?b#c", "odd/a\\b", "odd/both", "odd/both/below", &long]);
    }
    keys.push(&deep);
    for key in &keys {
        let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let stored = storage.put(&encoded, key.to_string()).await;
        assert!(stored.status().is_success(), "{key}: {}", stored.status());
        assert_eq!(json(stored).await["key"], *key);
    }
    for key in &keys {
        let encoded: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(storage.get(&encoded).await.text().await.unwrap(), *key);
    }
    let page = storage.list("prefix=odd/").await;
    let mut listed: Vec<&str> =
        page["objects"].as_array().unwrap().iter().map(|o| o["key"].as_str().unwrap()).collect();
    if storage.backend == Backend::Rclone {
        // It lists folder by folder.
        listed.sort_unstable();
    }
    keys.sort_unstable();
    assert_eq!(listed, keys);
    for key in &keys {
        let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let deleted = storage.request(Method::DELETE, &encoded).send().await.unwrap();
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(storage.list("prefix=odd/").await["objects"].as_array().unwrap().len(), 0);
}

pub(crate) async fn a_path_is_decoded_once(storage: &Storage) {
    storage.put("once/a%2Fb", "slash").await;
    assert_eq!(storage.get("once/a/b").await.text().await.unwrap(), "slash");
    assert_eq!(storage.get("once/a%252Fb").await.status(), StatusCode::NOT_FOUND);
    storage.put("once/a+b", "plus").await;
    assert_eq!(storage.get("once/a%2Bb").await.text().await.unwrap(), "plus");
    assert_eq!(storage.get("once/a%20b").await.status(), StatusCode::NOT_FOUND);
}

pub(crate) async fn outside_callers_stay_below_their_prefix(storage: &Storage) {
    let mut bucket = storage.bucket();
    let messages = put_messages("_catalog/secret", b"manifest", None);
    bucket.put(futures::stream::iter(messages)).await.unwrap();
    storage.put("mine/x", "x").await;

    assert_eq!(storage.get("_catalog/secret").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(storage.list("prefix=_catalog").await["objects"].as_array().unwrap().len(), 0);
    let seen = storage.storage().list(ListRequest::default()).await.unwrap().into_inner();
    assert!(seen.objects.iter().all(|object| !object.key.contains("_catalog")));
    let head = bucket.head(HeadRequest { key: "user/mine/x".into() }).await.unwrap().into_inner();
    assert_eq!((head.key.as_str(), head.bytes), ("user/mine/x", 1));
    let not_found = storage.storage().head(HeadRequest { key: "user/mine/x".into() }).await.unwrap_err();
    assert_eq!(not_found.message(), "there is no object user/mine/x");
}
