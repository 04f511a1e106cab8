//! The three services on free ports, and what a test asks of them.

use bytes::{Bytes, BytesMut};
use kit::grpc::PeerChannel;
use kit::testing::TestServer;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::v1::catalog_client::CatalogClient;
use proto::v1::get_response::Part;
use proto::v1::{GetDatasetRequest, GetRequest, ListRequest, Manifest};
use reqwest::{Body, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Platform {
    folder: TempDir,
    pub(crate) storaged: Option<TestServer>,
    pub(crate) catalogd: TestServer,
    pub(crate) ingestd: TestServer,
    pub(crate) client: reqwest::Client,
}

/// A status and a JSON body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<String>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The body of a refusal, with its code checked.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        body
    }
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ingestd::Config)) -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let storage = storaged::Config { data_dir: folder.path().join("data"), ..storaged::Config::default() };
        let storaged = TestServer::start(|listener, stop| storaged::serve(storage, listener, stop)).await;
        let catalog =
            catalogd::Config { storaged_url: storaged.url(), columns_max: 20_000, ..catalogd::Config::default() };
        let catalogd = TestServer::start(|listener, stop| catalogd::serve(catalog, listener, stop)).await;
        let mut config = ingestd::Config {
            storaged_url: storaged.url(),
            catalogd_url: catalogd.url(),
            spool_dir: folder.path().join("spool"),
            ..ingestd::Config::default()
        };
        change(&mut config);
        let ingestd = TestServer::start(|listener, stop| ingestd::serve(config, listener, stop)).await;
        let client = reqwest::Client::new();
        let ready = catalogd.url().join("health/readiness").unwrap();
        while !client.get(ready.clone()).send().await.unwrap().status().is_success() {
            tokio::task::yield_now().await;
        }
        Platform { folder, storaged: Some(storaged), catalogd, ingestd, client }
    }

    /// With an ingestd that is watched.
    pub(crate) async fn watched() -> Self {
        let mut platform = Self::start().await;
        let config = ingestd::Config {
            storaged_url: platform.storaged.as_ref().unwrap().url(),
            catalogd_url: platform.catalogd.url(),
            spool_dir: platform.folder.path().join("watched"),
            ..ingestd::Config::default()
        };
        platform.ingestd = TestServer::watched(|listener, stop| ingestd::serve(config, listener, stop)).await;
        platform
    }

    /// A request for `path` below `/v1/ingest/`.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.ingestd.url().join(&format!("v1/ingest/{path}")).unwrap())
    }

    pub(crate) async fn ingest(&self, path: &str, body: impl Into<Body>) -> Answer {
        answer(self.post(path).body(body)).await
    }

    pub(crate) async fn manifest(&self, name: &str) -> Option<Manifest> {
        let mut catalog = CatalogClient::new(kit::grpc::channel(&self.catalogd.url()).unwrap());
        let request = GetDatasetRequest { name: name.to_owned(), version: 0 };
        match catalog.get(request).await {
            Ok(manifest) => Some(manifest.into_inner()),
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::NotFound);
                None
            }
        }
    }

    fn store(&self) -> ObjectStoreClient<PeerChannel> {
        ObjectStoreClient::new(kit::grpc::channel(&self.storaged.as_ref().unwrap().url()).unwrap())
    }

    /// The keys of all objects of all datasets.
    pub(crate) async fn objects(&self) -> Vec<String> {
        let request = ListRequest { prefix: "datasets/".into(), limit: 1_000, ..ListRequest::default() };
        let page = self.store().list(request).await.unwrap().into_inner();
        assert_eq!(page.next_cursor, "");
        page.objects.into_iter().map(|object| object.key).collect()
    }

    pub(crate) async fn object(&self, key: &str) -> Bytes {
        let request = GetRequest { key: key.to_owned(), ..GetRequest::default() };
        let mut parts = self.store().get(request).await.unwrap().into_inner();
        let mut bytes = BytesMut::new();
        while let Some(message) = parts.message().await.unwrap() {
            if let Some(Part::Chunk(chunk)) = message.part {
                bytes.extend_from_slice(&chunk);
            }
        }
        bytes.freeze()
    }

    pub(crate) fn spooled(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("spool")).unwrap().count()
    }

    /// Nothing was registered, nothing stored, nothing spooled.
    pub(crate) async fn assert_untouched(&self, name: &str) {
        assert!(self.manifest(name).await.is_none());
        assert_eq!(self.objects().await, Vec::<String>::new());
    }

    /// Every row of the newest version, as text: one line a row, `|` between values.
    pub(crate) async fn rows(&self, name: &str) -> Vec<String> {
        let manifest = self.manifest(name).await.unwrap();
        let mut rows = Vec::new();
        for object in &manifest.objects {
            let reader = ParquetRecordBatchReaderBuilder::try_new(self.object(&object.key).await).unwrap();
            for batch in reader.build().unwrap() {
                let batch = batch.unwrap();
                let text = |column: &arrow_array::ArrayRef, row| {
                    arrow_cast::display::array_value_to_string(column, row).unwrap()
                };
                rows.extend(
                    (0..batch.num_rows()).map(|row| {
                        batch.columns().iter().map(|column| text(column, row)).collect::<Vec<_>>().join("|")
                    }),
                );
            }
        }
        rows
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, body, retry_after }
}

/// `name type` of each column.
pub(crate) fn schema(body: &Value) -> Vec<String> {
    let column = |column: &Value| format!("{} {}", column["name"].as_str().unwrap(), column["type"].as_str().unwrap());
    body["schema"].as_array().unwrap().iter().map(column).collect()
}
