use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kit::testing::TestServer;
use reqwest::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::platform::{Platform, people, until};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    catalogd.register("workers", &["a.parquet"]).await;
    catalogd.register("workers", &["a.parquet"]).await;
    catalogd.register("gone", &["a.parquet"]).await;
    catalogd.delete("v1/catalog/datasets/gone").await;
    let before = catalogd.dataset("workers").await;
    catalogd.server.stop().await;

    let catalogd = platform.catalogd().await;
    assert_eq!(catalogd.dataset("workers").await, before);
    assert_eq!(catalogd.get("v1/catalog/datasets/gone").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(catalogd.register("workers", &["a.parquet"]).await["version"], 3);
    assert_eq!(catalogd.register("gone", &["a.parquet"]).await["version"], 3);
}

#[tokio::test]
async fn it_waits_for_storage_and_says_so() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody listens there yet.
    drop(listener);
    let config =
        catalogd::Config { storaged_url: format!("http://{address}/").parse().unwrap(), ..catalogd::Config::default() };
    let server = TestServer::start(|listener, shutdown| catalogd::serve(config, listener, shutdown)).await;
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let get = |path: &str| http.get(server.url().join(path).unwrap()).send();
    assert_eq!(get("health/liveness").await.unwrap().status(), StatusCode::OK);
    assert_eq!(get("health/readiness").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let report: serde_json::Value = get("health").await.unwrap().json().await.unwrap();
    assert_eq!(report["status"], "starting");
    let refused = get("v1/catalog/datasets").await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");

    let folder = tempfile::tempdir().unwrap();
    let storage = storaged::Config { data_dir: folder.path().to_owned(), fsync: false, ..storaged::Config::default() };
    let listener = TcpListener::bind(address).await.unwrap();
    let stop = CancellationToken::new();
    let storaged = tokio::spawn(storaged::serve(storage, listener, stop.clone()));
    until("readiness", || async { get("health/readiness").await.unwrap().status().is_success().then_some(()) }).await;
    assert_eq!(get("v1/catalog/datasets").await.unwrap().status(), StatusCode::OK);
    server.stop().await;
    stop.cancel();
    storaged.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_start_without_storage_ends_in_time() {
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let config = catalogd::Config {
        storaged_url: format!("http://{closed}/").parse().unwrap(),
        start_timeout: Duration::from_millis(100),
        ..catalogd::Config::default()
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let serving = catalogd::serve(config, listener, CancellationToken::new());
    let error = tokio::time::timeout(Duration::from_secs(20), serving).await.expect("it gives up").unwrap_err();
    assert!(error.to_string().contains("storage"), "{error}");
}

/// The whole platform has 3 s for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_datasets_load_quickly() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    let names = stream::iter(0..1_000).map(|n| format!("dataset_{n:04}"));
    names
        .for_each_concurrent(16, |name| {
            let catalogd = &catalogd;
            async move {
                catalogd.register(&name, &["a.parquet"]).await;
            }
        })
        .await;
    catalogd.server.stop().await;
    let started = Instant::now();
    let catalogd = platform.catalogd().await;
    let elapsed = started.elapsed();
    println!("1,000 datasets ready after {elapsed:?}");
    let mut cursor = String::new();
    let mut seen = 0;
    loop {
        let page = catalogd.json(&format!("v1/catalog/datasets?limit=300&cursor={cursor}")).await.1;
        seen += page["datasets"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, 1_000);
    // Far above what is aimed at: the machine of a test run has other work.
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}
