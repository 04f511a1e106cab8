//! A vectord with a folder of its own, on a storaged.

use kit::testing::TestServer;
use proto::v1::vectors_client::VectorsClient;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

pub(crate) struct Platform {
    pub(crate) vectord: TestServer,
    pub(crate) http: Client,
    /// It keeps snapshots.
    storaged: TestServer,
    folder: tempfile::TempDir,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut vectord::Config)) -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let objects =
            storaged::Config { data_dir: folder.path().join("objects"), fsync: false, ..storaged::Config::default() };
        let storaged = TestServer::start(|listener, shutdown| storaged::serve(objects, listener, shutdown)).await;
        let mut config = vectord::Config {
            data_dir: folder.path().join("vectors"),
            fsync: false,
            storaged_url: storaged.url(),
            ..vectord::Config::default()
        };
        change(&mut config);
        let vectord = TestServer::start(|listener, shutdown| vectord::serve(config, listener, shutdown)).await;
        Platform { vectord, http: Client::new(), storaged, folder }
    }

    /// With a vectord that is watched, and waits for its disk.
    pub(crate) async fn watched() -> Self {
        let mut platform = Self::start().await;
        let config = vectord::Config {
            data_dir: platform.folder.path().join("watched"),
            storaged_url: platform.storaged.url(),
            ..vectord::Config::default()
        };
        platform.vectord = TestServer::watched(|listener, shutdown| vectord::serve(config, listener, shutdown)).await;
        platform
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.vectord.url().join("v1/vectors/").unwrap().join(path).unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        body(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, json: Value) -> (StatusCode, Value) {
        body(self.request(Method::POST, path).json(&json).send().await.unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, json: Value) -> (StatusCode, Value) {
        body(self.request(Method::PUT, path).json(&json).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        body(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Posts and wants it to go well.
    pub(crate) async fn done(&self, path: &str, json: Value) -> Value {
        let (status, answer) = self.post(path, json).await;
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    /// Posts and wants it to be refused; why it was.
    pub(crate) async fn refused(&self, path: &str, json: Value, status: u16) -> String {
        let said = json.to_string();
        let (found, problem) = self.post(path, json).await;
        assert_eq!(found.as_u16(), status, "{path} {said}: {problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn create(&self, name: &str, dimension: usize, distance: &str) -> Value {
        self.done("index", json!({ "name": name, "dimension": dimension, "distance": distance })).await
    }

    pub(crate) fn rpc(&self) -> VectorsClient<kit::grpc::PeerChannel> {
        VectorsClient::new(kit::grpc::channel(&self.vectord.url()).unwrap())
    }
}

/// The status and the body; null where there is none.
pub(crate) async fn body(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// The ids of results or items, in their order.
pub(crate) fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

/// All of an index's items with their vectors, by their ids.
pub(crate) async fn contents(platform: &Platform, index: &str) -> Vec<Value> {
    let asked = json!({ "limit": 1_000, "with_vector": true });
    let page = platform.done(&format!("index/{index}/scroll"), asked).await;
    assert_eq!(page["next_cursor"], Value::Null);
    let mut items = page["items"].as_array().unwrap().clone();
    items.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    items
}

/// `w-000`, `w-001` and so on, each in a direction of its own; `n` counts them, `even` tells every other.
pub(crate) fn workers(count: usize) -> Vec<Value> {
    let worker = |n: usize| {
        let angle = n as f32 * 0.01;
        let role = if n.is_multiple_of(2) { "welder" } else { "driver" };
        json!({ "id": format!("w-{n:03}"), "vector": [angle.cos(), angle.sin(), 0.5], "metadata": { "n": n, "role": role } })
    };
    (0..count).map(worker).collect()
}
