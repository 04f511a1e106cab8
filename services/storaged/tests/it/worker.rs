//! That no task holds a worker: what computes or waits is on a pool.

use futures::future::join_all;
use kit::testing::TestServer;
use proto::internal::v1::CopyRequest;
use reqwest::Method;
use storaged::Config;

use crate::harness::{Backend, Storage, noise};

#[tokio::test(flavor = "multi_thread")]
async fn file_operations_leave_the_worker_free() {
    let mut storage = Storage::start(Backend::Local).await;
    let config = Config { data_dir: storage.folder.path().join("watched"), ..Config::default() };
    assert!(config.fsync, "or there is nothing to wait for");
    storage.server = TestServer::watched(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
    let (long, storage) = (noise(24 << 20), &storage);
    for key in ["long/a", "long/b"] {
        assert!(storage.put(key, long.clone()).await.status().is_success());
    }
    let short = |lane: usize| async move {
        // So many that waiting for them shows on a disk that is quick, too.
        for n in 0..600 {
            let path = format!("short/{lane}/{n}");
            assert!(storage.put(&path, "x").await.status().is_success());
            assert_eq!(storage.get(&path).await.bytes().await.unwrap(), "x");
        }
    };
    join_all((0..4).map(short)).await;
    assert!(storage.get("long/a").await.bytes().await.unwrap() == long);
    assert_eq!(storage.get_with("long/b", "range", "bytes=9000000-9000099").await.bytes().await.unwrap().len(), 100);
    assert_eq!(storage.list("prefix=short/0/&limit=1000").await["objects"].as_array().unwrap().len(), 600);
    let copy = CopyRequest { source: "user/long/a".into(), target: "datasets/c".into(), ..CopyRequest::default() };
    storage.bucket().copy(copy).await.unwrap();
    for key in ["long/a", "long/b"] {
        assert!(storage.request(Method::DELETE, key).send().await.unwrap().status().is_success());
    }
    storage.server.held().await.assert_short();
}
