//! A platform of three services over a folder of its own, and a client of it.

use std::path::Path;
use std::time::Duration;

use kit::testing::TestServer;
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::v1::{GetRequest, PutRequest, PutStart, get_response, put_request};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The staffing data that most tests ask.
pub(crate) const WORKERS: &str = "
    SELECT range AS id, ['Ann', 'Bob', 'Cyd', 'Dee'][1 + range % 4] || ' ' || range AS name,
           ['Forklift Driver', 'Packer', 'Welder'][1 + range % 3] AS role, 'City ' || (range % 5) AS city,
           ['IL', 'TX', 'OH'][1 + range % 3] AS state, (15 + range % 20)::DECIMAL(10, 2) AS pay,
           DATE '2024-01-01' + (range % 300)::INTEGER AS hired,
           TIMESTAMP '2024-01-01 10:00:00' + INTERVAL (range) MINUTE AS seen,
           ['forklift', 'packing'] AS skills, range % 2 = 0 AS certified
    FROM range(100)";
pub(crate) const JOBS: &str = "SELECT range AS id, 'Job ' || range AS title, ['IL', 'TX'][1 + range % 2] AS state, 20.5::DECIMAL(10, 2) AS pay FROM range(10)";

/// How long something that happens in the background may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const PACE: Duration = Duration::from_millis(10);

pub(crate) struct Platform {
    pub(crate) queryd: TestServer,
    pub(crate) catalogd: TestServer,
    pub(crate) storaged: TestServer,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: TempDir,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With queryd's configuration changed.
    pub(crate) async fn start_with(change: impl FnOnce(&mut queryd::Config)) -> Self {
        Self::start_all(|_| {}, |_| {}, change).await
    }

    /// With any configuration changed.
    pub(crate) async fn start_all(
        change_storaged: impl FnOnce(&mut storaged::Config),
        change_catalogd: impl FnOnce(&mut catalogd::Config),
        change_queryd: impl FnOnce(&mut queryd::Config),
    ) -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config =
            storaged::Config { data_dir: folder.path().join("objects"), fsync: false, ..Default::default() };
        change_storaged(&mut config);
        let storaged = TestServer::start(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
        let catalogd = start_catalogd(&storaged, change_catalogd).await;
        let queryd = start_queryd(&storaged, &catalogd, &folder, change_queryd).await;
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let platform = Platform { queryd, catalogd, storaged, http, folder };
        platform.until_ready().await;
        platform
    }

    /// Puts another catalogd in the place of this platform's, which is returned.
    pub(crate) async fn replace_catalogd(&mut self) -> TestServer {
        let another = start_catalogd(&self.storaged, |_| {}).await;
        std::mem::replace(&mut self.catalogd, another)
    }

    /// Puts another queryd in the place of this platform's, which is returned.
    pub(crate) async fn replace_queryd(&mut self, change: impl FnOnce(&mut queryd::Config)) -> TestServer {
        let another = start_queryd(&self.storaged, &self.catalogd, &self.folder, change).await;
        let replaced = std::mem::replace(&mut self.queryd, another);
        self.until_ready().await;
        replaced
    }

    pub(crate) async fn with_data() -> Self {
        let platform = Self::start().await;
        platform.register("workers", WORKERS).await;
        platform.register("jobs", JOBS).await;
        platform
    }

    pub(crate) async fn until_ready(&self) {
        let url = self.queryd.url().join("health/readiness").unwrap();
        while !self.http.get(url.clone()).send().await.unwrap().status().is_success() {
            tokio::task::yield_now().await;
        }
    }

    /// Writes the rows of `sql` to a Parquet object and registers it.
    pub(crate) async fn register(&self, name: &str, sql: &str) -> Value {
        self.register_as(name, sql, "append").await
    }

    pub(crate) async fn register_as(&self, name: &str, sql: &str, op: &str) -> Value {
        let file = self.folder.path().join(format!("{}.parquet", uuid::Uuid::now_v7()));
        write_parquet(sql, &file);
        let key = format!("in/{}", file.file_name().unwrap().to_str().unwrap());
        let url = self.storaged.url().join(&format!("v1/storage/{key}")).unwrap();
        let put = self.http.put(url).body(std::fs::read(&file).unwrap()).send().await.unwrap();
        assert!(put.status().is_success(), "{}", put.text().await.unwrap());
        let mut body = json!({ "name": name, "objects": [{ "key": key }] });
        if op != "append" {
            body["op"] = op.into();
        }
        let url = self.catalogd.url().join("v1/catalog/register").unwrap();
        let registered = self.http.post(url).json(&body).send().await.unwrap();
        assert!(registered.status().is_success(), "{}", registered.text().await.unwrap());
        registered.json().await.unwrap()
    }

    pub(crate) async fn delete(&self, name: &str) {
        let url = self.catalogd.url().join(&format!("v1/catalog/datasets/{name}")).unwrap();
        assert_eq!(self.http.delete(url).send().await.unwrap().status(), 204);
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http.post(self.queryd.url().join(path).unwrap()).json(body)
    }

    /// The status and the whole JSON body.
    pub(crate) async fn ask(&self, body: Value) -> (u16, Value) {
        let answer = self.post("v1/sql", &body).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The rows of a statement that must work.
    pub(crate) async fn rows(&self, sql: &str) -> Value {
        let (status, mut body) = self.ask(json!({ "sql": sql })).await;
        assert_eq!(status, 200, "{sql}: {body}");
        body["rows"].take()
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let url = self.queryd.url().join(path).unwrap();
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).unwrap()
    }

    /// The names of what `GET /v1/sql/schema` shows, with their versions.
    pub(crate) async fn schema(&self) -> Value {
        let schema = self.json("v1/sql/schema").await;
        let datasets = schema["datasets"].as_array().unwrap_or_else(|| panic!("{schema}"));
        datasets.iter().map(|dataset| json!([dataset["name"], dataset["version"]])).collect()
    }

    /// Until queryd knows of so many datasets without being asked about one.
    pub(crate) async fn until_known(&self, count: usize) {
        let line = format!("queryd_datasets {count}");
        until(&line, || async { self.get("metrics").await.lines().any(|l| l == line).then_some(()) }).await;
    }

    pub(crate) fn objects(&self) -> ObjectStoreClient<kit::grpc::PeerChannel> {
        ObjectStoreClient::new(kit::grpc::channel(&self.storaged.url()).unwrap())
    }

    /// Puts anything anywhere in the bucket.
    pub(crate) async fn plant(&self, key: &str, content: Vec<u8>) {
        let start = PutStart { key: key.to_owned(), ..PutStart::default() };
        let parts = [put_request::Part::Start(start), put_request::Part::Chunk(content.into())];
        let messages = parts.map(|part| PutRequest { part: Some(part) });
        self.objects().put(futures::stream::iter(messages)).await.unwrap();
    }

    /// The bytes of anything in the bucket.
    pub(crate) async fn fetch(&self, key: &str) -> Vec<u8> {
        let request = GetRequest { key: key.to_owned(), ..GetRequest::default() };
        let mut stream = self.objects().get(request).await.unwrap().into_inner();
        let mut content = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            if let Some(get_response::Part::Chunk(chunk)) = message.part {
                content.extend_from_slice(&chunk);
            }
        }
        content
    }
}

/// vectord and embedd, for a platform whose statements search and embed.
pub(crate) struct Meaning {
    pub(crate) vectord: TestServer,
    pub(crate) embedd: TestServer,
    folder: TempDir,
}

impl Meaning {
    /// With all-MiniLM-L6-v2 and two models of hashes.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut embedd::Config)) -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config = embedd::Config::default();
        let minilm = embedd::ModelConfig { path: testbed::minilm().unwrap(), ..Default::default() };
        config.models.insert(config.model.clone(), minilm);
        for (name, dimension) in [("hash-3", 3), ("hash-4", 4)] {
            let model = embedd::ModelConfig { provider: embedd::ProviderKind::Hash, dimension, ..Default::default() };
            config.models.insert(name.into(), model);
        }
        change(&mut config);
        let embedd = TestServer::start(|listener, shutdown| embedd::serve(config, listener, shutdown)).await;
        let config = vectord::Config {
            data_dir: folder.path().join("vectors"),
            fsync: false,
            storage_snapshots: false,
            embedd_url: embedd.url(),
            ..Default::default()
        };
        let vectord = TestServer::start(|listener, shutdown| vectord::serve(config, listener, shutdown)).await;
        Meaning { vectord, embedd, folder }
    }

    pub(crate) fn connect(&self, config: &mut queryd::Config) {
        config.vectord_url = self.vectord.url();
        config.embedd_url = self.embedd.url();
    }

    /// Stops vectord; its folder stays.
    pub(crate) async fn without_vectord(self) -> (TestServer, TempDir) {
        self.vectord.stop().await;
        (self.embedd, self.folder)
    }
}

async fn start_catalogd(storaged: &TestServer, change: impl FnOnce(&mut catalogd::Config)) -> TestServer {
    let mut config = catalogd::Config { storaged_url: storaged.url(), ..Default::default() };
    change(&mut config);
    TestServer::start(|listener, shutdown| catalogd::serve(config, listener, shutdown)).await
}

async fn start_queryd(
    storaged: &TestServer,
    catalogd: &TestServer,
    folder: &TempDir,
    change: impl FnOnce(&mut queryd::Config),
) -> TestServer {
    let mut config = queryd::Config {
        storaged_url: storaged.url(),
        catalogd_url: catalogd.url(),
        temp_dir: folder.path().join(format!("tmp-{}", uuid::Uuid::now_v7())),
        ..Default::default()
    };
    change(&mut config);
    TestServer::start(|listener, shutdown| queryd::serve(config, listener, shutdown)).await
}

/// Asks until there is an answer: what happens in the background has no other sign.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut check: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(PACE).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

pub(crate) fn write_parquet(sql: &str, file: &Path) {
    let connection = duck::Database::open_in_memory(&[]).unwrap().connect().unwrap();
    let target = duck::quote_literal(file.to_str().unwrap());
    connection.execute_batch(&format!("COPY ({sql}) TO {target} (FORMAT parquet)")).unwrap();
}
