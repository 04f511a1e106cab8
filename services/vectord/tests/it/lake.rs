//! Datasets to follow: a storaged, catalogd, ingestd, queryd and embedd.

use kit::testing::TestServer;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::embedder::Embedder;
use crate::platform::{Platform, contents};
use crate::process::until;

pub(crate) struct Lake {
    pub(crate) embedder: Embedder,
    pub(crate) storaged: TestServer,
    catalogd: TestServer,
    ingestd: TestServer,
    queryd: TestServer,
    http: Client,
    _folder: TempDir,
}

impl Lake {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut catalogd::Config)) -> Self {
        Self::around(Embedder::start().await, change).await
    }

    pub(crate) async fn around(embedder: Embedder, change: impl FnOnce(&mut catalogd::Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = storaged::Config { data_dir: folder.path().join("objects"), fsync: false, ..Default::default() };
        let storaged = TestServer::start(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
        let mut config = catalogd::Config { storaged_url: storaged.url(), ..Default::default() };
        change(&mut config);
        let catalogd = TestServer::start(|listener, shutdown| catalogd::serve(config, listener, shutdown)).await;
        let config = ingestd::Config {
            storaged_url: storaged.url(),
            catalogd_url: catalogd.url(),
            spool_dir: folder.path().join("spool"),
            ..Default::default()
        };
        let ingestd = TestServer::start(|listener, shutdown| ingestd::serve(config, listener, shutdown)).await;
        let config = queryd::Config {
            storaged_url: storaged.url(),
            catalogd_url: catalogd.url(),
            temp_dir: folder.path().join("temp"),
            ..Default::default()
        };
        let queryd = TestServer::start(|listener, shutdown| queryd::serve(config, listener, shutdown)).await;
        let http = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        for server in [&catalogd, &queryd] {
            let ready = server.url().join("health/readiness").unwrap();
            until("ready", async || http.get(ready.clone()).send().await.unwrap().status().is_success()).await;
        }
        Lake { embedder, storaged, catalogd, ingestd, queryd, http, _folder: folder }
    }

    pub(crate) fn point(&self, config: &mut vectord::Config) {
        config.queryd_url = self.queryd.url();
        config.catalogd_url = self.catalogd.url();
        config.embedd_url = self.embedder.url();
        config.follow_retry_max = std::time::Duration::from_millis(100);
    }

    /// The same for a process.
    pub(crate) fn settings(&self) -> Vec<String> {
        vec![
            format!("vectord.queryd_url={}", self.queryd.url()),
            format!("vectord.catalogd_url={}", self.catalogd.url()),
            format!("vectord.embedd_url={}", self.embedder.url()),
            "vectord.follow_retry_max=100ms".into(),
        ]
    }

    /// The version that the rows make.
    pub(crate) async fn ingest(&self, name: &str, mode: &str, rows: &[Row<'_>]) -> u64 {
        let lines: Vec<String> = rows.iter().map(|row| row.json().to_string()).collect();
        self.ingest_lines(name, mode, lines.join("\n")).await
    }

    pub(crate) async fn ingest_lines(&self, name: &str, mode: &str, lines: String) -> u64 {
        let url = self.ingestd.url().join(&format!("v1/ingest/{name}?format=ndjson&mode={mode}")).unwrap();
        let answer = self.http.post(url).body(lines).send().await.unwrap();
        let status = answer.status();
        let told: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{told}");
        told["version"].as_u64().unwrap()
    }

    pub(crate) async fn delete(&self, name: &str) {
        let url = self.catalogd.url().join(&format!("v1/catalog/datasets/{name}")).unwrap();
        assert_eq!(self.http.delete(url).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }

    /// How many versions can be read.
    pub(crate) async fn versions(&self, name: &str) -> usize {
        let url = self.catalogd.url().join(&format!("v1/catalog/datasets/{name}/versions")).unwrap();
        let told: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        told["versions"].as_array().unwrap_or_else(|| panic!("{told}")).len()
    }
}

/// A row of the dataset that most tests follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    pub(crate) role: &'a str,
    pub(crate) city: Option<&'a str>,
    pub(crate) pay: i64,
}

pub(crate) fn row<'a>(id: &'a str, role: &'a str, city: &'a str, pay: i64) -> Row<'a> {
    Row { id, role, city: Some(city), pay }
}

impl Row<'_> {
    fn json(&self) -> Value {
        let id = if self.id.is_empty() { Value::Null } else { json!(self.id) };
        json!({ "id": id, "role": self.role, "city": self.city, "pay": self.pay })
    }

    pub(crate) fn text(&self) -> String {
        format!("{} in {}", self.role, self.city.unwrap_or_default())
    }

    pub(crate) fn metadata(&self) -> Value {
        json!({ "city": self.city, "pay": self.pay })
    }
}

/// What makes an index of it.
pub(crate) fn follows(dataset: &str) -> Value {
    let source = json!({
        "dataset": dataset, "id_column": "id", "text": "{role} in {city}", "metadata_columns": ["city", "pay"],
    });
    json!({ "name": "crew_idx", "source": source })
}

/// Waits until the index of [`follows`] stands at a version.
pub(crate) async fn stands_at(platform: &Platform, version: u64) {
    let there = async || {
        let told = platform.get("index/crew_idx").await.1["following"].clone();
        assert_ne!(told["status"], "failed", "{told}");
        (&told["status"], &told["version"]) == (&json!("current"), &json!(version))
    };
    until("the version is brought in", there).await;
}

/// Waits until its follower has a status, and returns what is told then.
pub(crate) async fn is(platform: &Platform, status: &str) -> Value {
    let mut told = Value::Null;
    until(status, async || {
        told = platform.get("index/crew_idx").await.1["following"].clone();
        told["status"] == status
    })
    .await;
    told
}

/// Whether the index holds exactly these rows.
pub(crate) async fn holds(platform: &Platform, lake: &Lake, rows: &[Row<'_>]) {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| row.id);
    let items = contents(platform, "crew_idx").await;
    let ids: Vec<_> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, rows.iter().map(|row| row.id).collect::<Vec<_>>());
    let vectors = lake.embedder.vectors(rows.iter().map(Row::text).collect()).await;
    for ((item, row), vector) in items.iter().zip(&rows).zip(vectors) {
        assert_eq!(item["metadata"], row.metadata(), "{row:?}");
        let held: Vec<f32> = serde_json::from_value(item["vector"].clone()).unwrap();
        let near = held.iter().zip(&vector).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near && held.len() == vector.len(), "{row:?}: {held:?} {vector:?}");
    }
}
