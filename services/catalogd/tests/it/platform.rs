//! A storaged with any number of catalogd on it, and files to register.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use backon::{ConstantBuilder, Retryable};
use kit::testing::TestServer;
use parquet::arrow::ArrowWriter;
use proto::internal::v1::catalog_internal_client::CatalogInternalClient;
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::v1::catalog_client::CatalogClient;
use proto::v1::{ListRequest, PutRequest, PutStart, put_request};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

pub(crate) struct Platform {
    pub(crate) storaged: TestServer,
    pub(crate) http: Client,
    /// Of storaged; gone when this is dropped.
    _folder: tempfile::TempDir,
}

pub(crate) struct Catalogd {
    pub(crate) server: TestServer,
    pub(crate) http: Client,
}

/// Tries until it holds: what happens in the background has no other sign.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, check: impl FnMut() -> F) -> T {
    let mut check = check;
    let attempt = || {
        let checking = check();
        async { checking.await.ok_or(()) }
    };
    let pace = ConstantBuilder::default().with_delay(Duration::from_millis(10)).with_max_times(2_000);
    attempt.retry(pace).await.unwrap_or_else(|()| panic!("waited in vain: {what}"))
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let config =
            storaged::Config { data_dir: folder.path().to_owned(), fsync: false, ..storaged::Config::default() };
        let storaged = TestServer::start(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
        Platform { storaged, http: Client::new(), _folder: folder }
    }

    pub(crate) async fn catalogd(&self) -> Catalogd {
        self.catalogd_with(|_| {}).await
    }

    /// One that has loaded everything.
    pub(crate) async fn catalogd_with(&self, change: impl FnOnce(&mut catalogd::Config)) -> Catalogd {
        let mut config = catalogd::Config { storaged_url: self.storaged.url(), ..catalogd::Config::default() };
        change(&mut config);
        let server = TestServer::start(|listener, shutdown| catalogd::serve(config, listener, shutdown)).await;
        let catalogd = Catalogd { server, http: self.http.clone() };
        until("readiness", || async {
            let ready = catalogd.get("health/readiness").await;
            ready.status().is_success().then_some(())
        })
        .await;
        catalogd
    }

    /// Puts a user's object.
    pub(crate) async fn upload(&self, key: &str, content: Vec<u8>) {
        let url = self.storaged.url().join(&format!("v1/storage/{key}")).unwrap();
        let answer = self.http.put(url).body(content).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    pub(crate) fn objects(&self) -> ObjectStoreClient<kit::grpc::PeerChannel> {
        ObjectStoreClient::new(kit::grpc::channel(&self.storaged.url()).unwrap())
    }

    /// Puts anything anywhere in the bucket.
    pub(crate) async fn plant(&self, key: &str, content: Vec<u8>) {
        let start = PutStart { key: key.to_owned(), ..PutStart::default() };
        let parts = [put_request::Part::Start(start), put_request::Part::Chunk(content.into())];
        let messages = parts.map(|part| PutRequest { part: Some(part) });
        self.objects().put(tokio_stream::iter(messages)).await.unwrap();
    }

    /// Every key below a prefix.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let request = ListRequest { prefix: prefix.to_owned(), limit: 1_000, ..ListRequest::default() };
        let page = self.objects().list(request).await.unwrap().into_inner();
        assert_eq!(page.next_cursor, "");
        page.objects.into_iter().map(|object| object.key).collect()
    }
}

impl Catalogd {
    pub(crate) fn url(&self, path: &str) -> reqwest::Url {
        self.server.url().join(path).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.http.delete(self.url(path)).send().await.unwrap()
    }

    pub(crate) async fn post(&self, body: Value) -> (StatusCode, Value) {
        let answer = self.http.post(self.url("v1/catalog/register")).json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Registers and wants it to go well.
    pub(crate) async fn register(&self, name: &str, keys: &[&str]) -> Value {
        let objects: Vec<Value> = keys.iter().map(|key| serde_json::json!({ "key": key })).collect();
        let (status, answer) = self.post(serde_json::json!({ "name": name, "objects": objects })).await;
        assert!(status.is_success(), "{answer}");
        answer
    }

    pub(crate) async fn dataset(&self, name: &str) -> Value {
        let answer = self.get(&format!("v1/catalog/datasets/{name}")).await;
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.get(path).await;
        (answer.status(), answer.json().await.unwrap())
    }

    pub(crate) fn public(&self) -> CatalogClient<kit::grpc::PeerChannel> {
        CatalogClient::new(kit::grpc::channel(&self.server.url()).unwrap())
    }

    pub(crate) fn internal(&self) -> CatalogInternalClient<kit::grpc::PeerChannel> {
        CatalogInternalClient::new(kit::grpc::channel(&self.server.url()).unwrap())
    }
}

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut content = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut content, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    content
}

/// `id BIGINT, name VARCHAR` with so many rows.
pub(crate) fn people(rows: i64) -> Vec<u8> {
    file(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("name", Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("n{n}"))))),
    ])
}

/// `id VARCHAR, wage BIGINT`: another schema.
pub(crate) fn wages(rows: i64) -> Vec<u8> {
    file(vec![
        ("id", Arc::new(StringArray::from_iter_values((0..rows).map(|n| n.to_string())))),
        ("wage", Arc::new(Int64Array::from_iter_values(0..rows))),
    ])
}
