//! Conditional requests.

use reqwest::{Method, Response, StatusCode};

use crate::harness::{Storage, chunked, header, noise, refusal};

async fn put_if(storage: &Storage, path: &str, header: &str, value: &str, body: &'static str) -> Response {
    storage.request(Method::PUT, path).header(header, value).body(body).send().await.unwrap()
}

pub(crate) async fn reads_are_conditional(storage: &Storage) {
    let put = storage.put("reads", "0123456789").await;
    let etag = header(&put, "etag");
    let modified = header(&storage.get("reads").await, "last-modified");
    for (name, value) in [("if-none-match", etag.as_str()), ("if-none-match", "*"), ("if-modified-since", &modified)] {
        let got = storage.get_with("reads", name, value).await;
        assert_eq!((got.status(), header(&got, "etag")), (StatusCode::NOT_MODIFIED, etag.clone()), "{name}: {value}");
        assert!(got.bytes().await.unwrap().is_empty());
    }
    let weak = format!("\"other\", W/{etag}");
    assert_eq!(storage.get_with("reads", "if-none-match", &weak).await.status(), StatusCode::NOT_MODIFIED);
    let past = "Thu, 01 Jan 2015 00:00:00 GMT";
    let served = [("if-none-match", "\"other\""), ("if-match", &etag), ("if-match", "*"), ("if-modified-since", past)];
    for (name, value) in served {
        assert_eq!(storage.get_with("reads", name, value).await.text().await.unwrap(), "0123456789", "{name}: {value}");
    }
    for (name, value) in [("if-match", "\"other\""), ("if-match", &format!("W/{etag}")), ("if-unmodified-since", past)]
    {
        let refused = refusal(storage.get_with("reads", name, value).await).await;
        assert_eq!(refused, (412, "failed_precondition".into()), "{name}: {value}");
    }
    for (value, status) in [(etag.as_str(), 206), ("\"other\"", 200), (&modified, 206), (past, 200)] {
        let request = storage.request(Method::GET, "reads").header("range", "bytes=0-3").header("if-range", value);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "if-range: {value}");
    }
    let head = storage.request(Method::HEAD, "reads").header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::NOT_MODIFIED);
}

pub(crate) async fn writes_are_conditional(storage: &Storage) {
    let missing = put_if(storage, "writes", "if-match", "\"other\"", "x").await;
    assert_eq!(refusal(missing).await, (412, "failed_precondition".into()));
    let created = put_if(storage, "writes", "if-none-match", "*", "one").await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let first = header(&created, "etag");
    let again = put_if(storage, "writes", "if-none-match", "*", "two").await;
    assert_eq!(refusal(again).await, (412, "failed_precondition".into()));
    assert_eq!(storage.get("writes").await.text().await.unwrap(), "one");

    let replaced = put_if(storage, "writes", "if-match", &first, "three").await;
    assert_eq!(replaced.status(), StatusCode::OK);
    let stale = put_if(storage, "writes", "if-match", &first, "four").await;
    assert_eq!(refusal(stale).await, (412, "failed_precondition".into()));
    assert_eq!(put_if(storage, "writes", "if-match", "*", "five").await.status(), StatusCode::OK);
    assert_eq!(storage.get("writes").await.text().await.unwrap(), "five");

    for (name, value) in [("if-none-match", "\"a\""), ("if-unmodified-since", "Thu, 01 Jan 2015 00:00:00 GMT")] {
        assert_eq!(refusal(put_if(storage, "writes", name, value, "x").await).await, (400, "invalid_argument".into()));
    }
    let stale = storage.request(Method::DELETE, "writes").header("if-match", &first).send().await.unwrap();
    assert_eq!(refusal(stale).await, (412, "failed_precondition".into()));
    let current = header(&storage.get("writes").await, "etag");
    let deleted = storage.request(Method::DELETE, "writes").header("if-match", &current).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let gone = storage.request(Method::DELETE, "writes").header("if-match", "*").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::PRECONDITION_FAILED);
}

pub(crate) async fn one_of_many_conditional_writes_wins(storage: &Storage) {
    for round in 0..5 {
        let path = format!("race/{round}");
        // As many as are taken at once.
        let writes = ["a", "b", "c", "d"].map(|body| put_if(storage, &path, "if-none-match", "*", body));
        let mut won = Vec::new();
        for (body, response) in ["a", "b", "c", "d"].iter().zip(futures::future::join_all(writes).await) {
            match response.status() {
                StatusCode::CREATED => won.push(*body),
                StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(storage.get(&path).await.text().await.unwrap(), won[0]);
    }
}

pub(crate) async fn a_long_object_is_written_conditionally(storage: &Storage) {
    let content = noise(11 << 20);
    let put = |name: &'static str, value: String| {
        storage.request(Method::PUT, "long-if").header(name, value).body(chunked(&content)).send()
    };
    let created = put("if-none-match", "*".into()).await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let etag = header(&created, "etag");
    assert_eq!(put("if-none-match", "*".into()).await.unwrap().status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(put("if-match", "\"other\"".into()).await.unwrap().status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(put("if-match", etag).await.unwrap().status(), StatusCode::OK);
}
