//! A platform of three services over a folder of its own, and a client of it.

use std::path::Path;

use kit::testing::TestServer;
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
        let folder = tempfile::tempdir().unwrap();
        let config = storaged::Config { data_dir: folder.path().join("objects"), fsync: false, ..Default::default() };
        let storaged = TestServer::start(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
        let config = catalogd::Config { storaged_url: storaged.url(), ..Default::default() };
        let catalogd = TestServer::start(|listener, shutdown| catalogd::serve(config, listener, shutdown)).await;
        let mut config = queryd::Config {
            storaged_url: storaged.url(),
            catalogd_url: catalogd.url(),
            temp_dir: folder.path().join("tmp"),
            ..Default::default()
        };
        change(&mut config);
        let queryd = TestServer::start(|listener, shutdown| queryd::serve(config, listener, shutdown)).await;
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let platform = Platform { queryd, catalogd, storaged, http, folder };
        platform.until_ready().await;
        platform
    }

    pub(crate) async fn with_data() -> Self {
        let platform = Self::start().await;
        platform.register("workers", WORKERS).await;
        platform.register("jobs", JOBS).await;
        platform
    }

    async fn until_ready(&self) {
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
}

pub(crate) fn write_parquet(sql: &str, file: &Path) {
    let connection = duck::Database::open_in_memory(&[]).unwrap().connect().unwrap();
    let target = duck::quote_literal(file.to_str().unwrap());
    connection.execute_batch(&format!("COPY ({sql}) TO {target} (FORMAT parquet)")).unwrap();
}
