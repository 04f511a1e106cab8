//! Objects, in and out.

use reqwest::{Method, StatusCode};

use crate::harness::{Storage, chunked, header, json, noise, refusal};

pub(crate) async fn what_is_put_is_got_until_it_is_deleted(storage: &Storage) {
    let created = storage.put("notes/one.txt", "first").await;
    assert!(created.status() == StatusCode::CREATED || storage.s3.is_some() && created.status() == StatusCode::OK);
    let etag = header(&created, "etag");
    assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let answer = json(created).await;
    assert_eq!(answer, serde_json::json!({ "key": "notes/one.txt", "bytes": 5, "etag": etag }));

    let got = storage.get("notes/one.txt").await;
    assert_eq!((got.status(), header(&got, "etag")), (StatusCode::OK, etag.clone()));
    assert_eq!((header(&got, "content-length"), header(&got, "accept-ranges")), ("5".into(), "bytes".into()));
    assert_eq!(header(&got, "x-content-type-options"), "nosniff");
    assert_eq!(got.text().await.unwrap(), "first");

    let head = storage.request(Method::HEAD, "notes/one.txt").send().await.unwrap();
    assert_eq!((head.status(), header(&head, "etag")), (StatusCode::OK, etag.clone()));
    assert_eq!(header(&head, "content-length"), "5");
    assert!(header(&head, "last-modified").ends_with(" GMT"));

    let replaced = storage.put("notes/one.txt", "second").await;
    assert_eq!(replaced.status(), StatusCode::OK);
    assert_ne!(header(&replaced, "etag"), etag);
    assert_eq!(storage.get("notes/one.txt").await.text().await.unwrap(), "second");

    for _ in 0..2 {
        let deleted = storage.request(Method::DELETE, "notes/one.txt").send().await.unwrap();
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT, "deleting what is not there is no error");
    }
    assert_eq!(refusal(storage.get("notes/one.txt").await).await, (404, "not_found".into()));
    let head = storage.request(Method::HEAD, "notes/one.txt").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::NOT_FOUND);
}

pub(crate) async fn a_long_object_streams_both_ways(storage: &Storage) {
    // Several parts, the last one short; and one that ends with a part.
    for (key, bytes) in [("long/a.bin", (16 << 20) + 7), ("long/b.bin", 10 << 20)] {
        let content = noise(bytes);
        for body in [chunked(&content), content.clone().into()] {
            let stored = json(storage.put(key, body).await).await;
            assert_eq!(stored["bytes"], bytes, "{stored}");
            let got = storage.get(key).await;
            assert_eq!(header(&got, "etag"), stored["etag"].as_str().unwrap());
            assert!(got.bytes().await.unwrap() == content, "the bytes of {key}");
        }
        let part = storage.get_with(key, "range", "bytes=3000000-9000000").await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert!(part.bytes().await.unwrap() == content[3_000_000..=9_000_000], "a part of {key}");
    }
}

pub(crate) async fn an_object_of_no_bytes_is_one(storage: &Storage) {
    assert_eq!(json(storage.put("empty", "").await).await["bytes"], 0);
    let got = storage.get("empty").await;
    assert_eq!((got.status(), header(&got, "content-length")), (StatusCode::OK, "0".into()));
    assert!(got.bytes().await.unwrap().is_empty());
}

pub(crate) async fn ranges_are_those_of_the_rfc(storage: &Storage) {
    storage.put("ranges", "0123456789").await;
    let partial = [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-5", "2345", "bytes 2-5/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=7-100", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-100", "0123456789", "bytes 0-9/10"),
    ];
    for (range, text, content_range) in partial {
        let got = storage.get_with("ranges", "range", range).await;
        assert_eq!((got.status(), header(&got, "content-range")), (StatusCode::PARTIAL_CONTENT, content_range.into()));
        assert_eq!(header(&got, "content-length"), text.len().to_string(), "{range}");
        assert_eq!(got.text().await.unwrap(), text, "{range}");
    }
    for range in ["bytes=10-", "bytes=100-200", "bytes=-0"] {
        let got = storage.get_with("ranges", "range", range).await;
        assert_eq!(header(&got, "content-range"), "bytes */10", "{range}");
        assert_eq!(refusal(got).await, (416, "out_of_range".into()), "{range}");
    }
    for range in ["bytes=5-2", "lines=1-2", "bytes=0-1,4-5", "bytes=x"] {
        let got = storage.get_with("ranges", "range", range).await;
        assert_eq!(got.status(), StatusCode::OK, "{range} is as good as none");
        assert_eq!(got.text().await.unwrap(), "0123456789");
    }
}

pub(crate) async fn the_content_type_is_kept_or_guessed(storage: &Storage) {
    let put =
        |path, content_type: &'static str| storage.request(Method::PUT, path).header("content-type", content_type);
    put("types/a", "text/x-own; charset=utf-8").body("x").send().await.unwrap();
    assert_eq!(header(&storage.get("types/a").await, "content-type"), "text/x-own; charset=utf-8");
    put("types/b.csv", "application/x-www-form-urlencoded").body("x").send().await.unwrap();
    assert_eq!(header(&storage.get("types/b.csv").await, "content-type"), "text/csv");
    storage.put("types/c", "x").await;
    assert_eq!(header(&storage.get("types/c").await, "content-type"), "application/octet-stream");
}

pub(crate) async fn bytes_are_stored_as_sent_or_refused(storage: &Storage) {
    let refused =
        storage.request(Method::PUT, "coded").header("content-encoding", "gzip").body("x").send().await.unwrap();
    assert_eq!(refusal(refused).await, (415, "unsupported_media_type".into()));
    let part =
        storage.request(Method::PUT, "coded").header("content-range", "bytes 0-0/9").body("x").send().await.unwrap();
    assert_eq!(refusal(part).await, (400, "invalid_argument".into()));
    assert_eq!(storage.get("coded").await.status(), StatusCode::NOT_FOUND);
}
