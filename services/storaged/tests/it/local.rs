//! What is true of a directory alone.

use std::collections::BTreeSet;

use kit::testing::TestServer;
use reqwest::{Method, StatusCode};
use storaged::Config;
use tokio_util::sync::CancellationToken;

use crate::harness::{Backend, Storage, header, json, noise};

fn config(storage: &Storage) -> Config {
    Config { data_dir: storage.folder.path().join("data"), ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_outlive_a_restart_and_leftovers_do_not() {
    let mut storage = Storage::start(Backend::Local).await;
    let etag = header(&storage.put("kept/a", "a").await, "etag");
    let config = config(&storage);
    let second = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = storaged::serve(config.clone(), second, CancellationToken::new()).await.unwrap_err().to_string();
    assert!(refused.contains("in use by another storaged"), "{refused}");

    let nothing = TestServer::start(|_, _| async { Ok(()) }).await;
    std::mem::replace(&mut storage.server, nothing).stop().await;
    let leftover = storage.folder.path().join("data/tmp/99");
    std::fs::write(&leftover, "half").unwrap();
    storage.server = TestServer::start(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
    let got = storage.get("kept/a").await;
    assert_eq!((got.status(), header(&got, "etag")), (StatusCode::OK, etag));
    assert!(!leftover.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_keeps_what_it_began_to_read() {
    let storage = Storage::start(Backend::Local).await;
    let (old, new) = (noise(20 << 20), vec![7; 20 << 20]);
    storage.put("swap", old.clone()).await;
    let mut reading = storage.get("swap").await;
    let mut got = reading.chunk().await.unwrap().unwrap().to_vec();
    storage.put("swap", new).await;
    storage.request(Method::DELETE, "swap").send().await.unwrap();
    while let Some(chunk) = reading.chunk().await.unwrap() {
        got.extend_from_slice(&chunk);
    }
    assert!(got == old, "neither the new bytes nor a mixture");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_folders_neither_show_nor_stay() {
    let storage = Storage::start(Backend::Local).await;
    storage.put("deep/er/est", "x").await;
    let objects = storage.folder.path().join("data/objects");
    std::fs::create_dir_all(objects.join("user+/hollow+/inside+")).unwrap();
    let page = storage.list("delimiter=/").await;
    assert_eq!(page["prefixes"], serde_json::json!(["deep/"]));
    storage.request(Method::DELETE, "deep/er/est").send().await.unwrap();
    assert!(!objects.join("user+/deep+").exists() && objects.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_come_and_go_under_concurrent_writes() {
    let storage = Storage::start(Backend::Local).await;
    let churn = |n: usize| {
        let storage = &storage;
        async move {
            for _ in 0..200 {
                let path = format!("churn/f/{n}");
                let stored = storage.put(&path, "x").await;
                assert!(stored.status().is_success(), "{}", stored.status());
                assert_eq!(storage.get(&path).await.text().await.unwrap(), "x");
                storage.request(Method::DELETE, &path).send().await.unwrap();
            }
        }
    };
    futures::future::join_all((0..4).map(churn)).await;
    assert!(!storage.folder.path().join("data/objects/user+").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowded_folder_is_listed_in_pages() {
    let storage = Storage::start(Backend::Local).await;
    storage.put("crowd/first", "x").await;
    let folder = storage.folder.path().join("data/objects/user+/crowd+");
    for n in 0..5_000 {
        std::fs::write(folder.join(format!("{n:05}")), "").unwrap();
    }
    let (mut seen, mut cursor, mut pages) = (BTreeSet::new(), String::new(), 0);
    loop {
        let page = storage.list(&format!("prefix=crowd/&limit=100{cursor}")).await;
        pages += 1;
        for object in page["objects"].as_array().unwrap() {
            assert!(seen.insert(object["key"].as_str().unwrap().to_owned()), "no key twice");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (5_001, 51));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_and_contract_are_there() {
    let storage = Storage::start(Backend::Local).await;
    storage.put("a", "12345").await;
    let get = |path: &str| storage.http.get(format!("{}{path}", storage.server.url())).send();
    let health = json(get("health").await.unwrap()).await;
    assert_eq!(health["status"], "ok");
    assert!(health["components"]["backend"]["detail"].as_str().unwrap().contains("MiB free"));
    let metrics = get("metrics").await.unwrap().text().await.unwrap();
    for line in ["object_in_bytes_total 5", "object_puts_total{outcome=\"created\"} 1", "operation=\"put\""] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let contract = json(get("openapi.json").await.unwrap()).await;
    let methods = contract["paths"]["/v1/storage/{key}"].as_object().unwrap();
    assert_eq!(methods.keys().collect::<Vec<_>>(), ["delete", "get", "head", "put"]);
}
