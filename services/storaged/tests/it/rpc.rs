//! gRPC.

use proto::internal::v1::{CopyRequest, LocateRequest};
use proto::v1::{Condition, DeleteRequest, GetRequest, HeadRequest, ListRequest};
use tonic::Code;

use crate::harness::{Backend, Storage, collect, noise, put_messages};

fn absent() -> Option<Condition> {
    Some(Condition { if_none_match: "*".into(), if_match: String::new() })
}

pub(crate) async fn objects_pass_over_grpc(storage: &Storage) {
    let mut client = storage.storage();
    let content = noise(6_000_000);
    let messages = put_messages("rpc/a", &content, absent());
    let stored = client.put(futures::stream::iter(messages.clone())).await.unwrap().into_inner();
    assert_eq!((stored.key.as_str(), stored.bytes), ("rpc/a", 6_000_000));
    let again = client.put(futures::stream::iter(messages)).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
    assert_eq!(again.metadata().get("lakehouse-code").unwrap(), "failed_precondition");

    let got = client.get(GetRequest { key: "rpc/a".into(), ..GetRequest::default() }).await.unwrap();
    let (info, bytes) = collect(got.into_inner()).await;
    assert!(bytes == content && info.bytes == 6_000_000 && info.etag == stored.etag && info.modified_ms > 0);
    assert_eq!(client.head(HeadRequest { key: "rpc/a".into() }).await.unwrap().into_inner(), info);
    let list = ListRequest { prefix: "rpc/".into(), delimiter: "/".into(), ..ListRequest::default() };
    let page = client.list(list).await.unwrap().into_inner();
    assert_eq!((page.objects.len(), page.objects[0].key.as_str(), page.next_cursor.as_str()), (1, "rpc/a", ""));
    client.delete(DeleteRequest { key: "rpc/a".into() }).await.unwrap();
    assert_eq!(client.head(HeadRequest { key: "rpc/a".into() }).await.unwrap_err().code(), Code::NotFound);
}

pub(crate) async fn the_first_message_is_the_start(storage: &Storage) {
    let messages = put_messages("rpc/b", b"abc", None);
    for wrong in [vec![messages[1].clone()], vec![messages[0].clone(), messages[0].clone()], vec![]] {
        let refused = storage.bucket().put(futures::stream::iter(wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    assert_eq!(storage.bucket().head(HeadRequest { key: "rpc/b".into() }).await.unwrap_err().code(), Code::NotFound);
}

pub(crate) async fn a_copy_is_an_object_of_its_own(storage: &Storage) {
    let mut bucket = storage.bucket();
    let source = "user/copy/a b+ü.parquet".to_owned();
    let stored = bucket.put(futures::stream::iter(put_messages(&source, b"content", None))).await.unwrap().into_inner();
    let request = |target: &str, etag: &str| CopyRequest {
        source: source.clone(),
        target: target.to_owned(),
        source_if_match: etag.to_owned(),
    };
    let copied = bucket.copy(request("datasets/1/x.parquet", &stored.etag)).await.unwrap().into_inner();
    assert_eq!((copied.key.as_str(), copied.bytes), ("datasets/1/x.parquet", 7));
    let info = bucket.head(HeadRequest { key: "datasets/1/x.parquet".into() }).await.unwrap().into_inner();
    assert_eq!(info.etag, copied.etag);

    let taken = bucket.copy(request("datasets/1/x.parquet", "")).await.unwrap_err();
    assert_eq!(taken.metadata().get("lakehouse-code").unwrap(), "already_exists");
    let stale = bucket.copy(request("datasets/1/y.parquet", "\"other\"")).await.unwrap_err();
    assert_eq!(stale.code(), Code::FailedPrecondition);
    bucket.delete(DeleteRequest { key: source.clone() }).await.unwrap();
    let missing = bucket.copy(request("datasets/1/y.parquet", "")).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let get = GetRequest { key: "datasets/1/x.parquet".into(), ..GetRequest::default() };
    assert_eq!(collect(bucket.get(get).await.unwrap().into_inner()).await.1, b"content");
}

pub(crate) async fn objects_can_be_located(storage: &Storage) {
    let mut bucket = storage.bucket();
    bucket.put(futures::stream::iter(put_messages("datasets/2/a b%.parquet", b"here", None))).await.unwrap();
    let request =
        LocateRequest { keys: vec!["datasets/2/a b%.parquet".into(), "x".into()], prefix: "datasets/".into() };
    let located = bucket.locate(request).await.unwrap().into_inner();
    assert_eq!(located.conditional_puts, storage.backend != Backend::Rclone);
    if storage.backend == Backend::Local {
        let path = url::Url::parse(&located.urls[0]).unwrap().to_file_path().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"here");
        let prefix = url::Url::parse(&located.prefix_url).unwrap().to_file_path().unwrap();
        assert!(located.prefix_url.ends_with('/') && path.starts_with(prefix));
    } else {
        assert_eq!(located.urls, ["s3://lakehouse/datasets/2/a b%.parquet", "s3://lakehouse/x"]);
        assert_eq!(located.prefix_url, "s3://lakehouse/datasets/");
    }
    for (key, prefix) in [("../x", ""), ("x", "datasets"), ("x", "../")] {
        let request = LocateRequest { keys: vec![key.into()], prefix: prefix.into() };
        assert_eq!(bucket.locate(request).await.unwrap_err().code(), Code::InvalidArgument, "{key} {prefix}");
    }
}

pub(crate) async fn reads_over_grpc_are_partial_and_conditional(storage: &Storage) {
    let mut bucket = storage.bucket();
    let stored =
        bucket.put(futures::stream::iter(put_messages("parts", b"0123456789", None))).await.unwrap().into_inner();
    let get =
        |offset, length, suffix| GetRequest { key: "parts".into(), offset, length, suffix, if_match: String::new() };
    for (request, text) in [(get(2, 3, 0), "234"), (get(7, 0, 0), "789"), (get(0, 0, 2), "89"), (get(0, 4, 0), "0123")]
    {
        let (info, bytes) = collect(bucket.get(request).await.unwrap().into_inner()).await;
        assert_eq!((info.bytes, bytes.as_slice()), (10, text.as_bytes()));
    }
    assert_eq!(bucket.get(get(10, 1, 0)).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(bucket.get(get(1, 0, 1)).await.unwrap_err().code(), Code::InvalidArgument);
    let same = GetRequest { if_match: stored.etag, ..get(1, 1, 0) };
    assert_eq!(collect(bucket.get(same).await.unwrap().into_inner()).await.1, b"1");
    let other = GetRequest { if_match: "\"other\"".into(), ..get(1, 1, 0) };
    assert_eq!(bucket.get(other).await.unwrap_err().code(), Code::FailedPrecondition);
}
