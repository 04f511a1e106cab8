//! An embedd of its own.

use embedd::{Config, ModelConfig, ProviderKind};
use kit::testing::TestServer;
use proto::v1::embeddings_client::EmbeddingsClient;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

use crate::upstream::Upstream;

pub(crate) struct Platform {
    pub(crate) embedd: TestServer,
    pub(crate) http: Client,
}

/// The model that needs nothing: numbers made of a hash.
pub(crate) fn hash(dimension: usize) -> ModelConfig {
    ModelConfig { provider: ProviderKind::Hash, dimension, ..ModelConfig::default() }
}

impl Platform {
    /// With the model `hash` of eight dimensions.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config { model: "hash".into(), ..Config::default() };
        config.models.insert("hash".into(), hash(8));
        change(&mut config);
        let embedd = TestServer::start(|listener, shutdown| embedd::serve(config, listener, shutdown)).await;
        Platform { embedd, http: Client::builder().no_proxy().build().unwrap() }
    }

    /// With the one model `remote`, of an upstream.
    pub(crate) async fn on(upstream: &Upstream, kind: ProviderKind, change: impl FnOnce(&mut Config)) -> Self {
        Self::with(|config| {
            config.model = "remote".into();
            config.models = [("remote".to_owned(), upstream.model(kind))].into();
            change(config);
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.embedd.url().join(path).unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = body(self.request(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    pub(crate) async fn post(&self, path: &str, json: &Value) -> (StatusCode, Value) {
        body(self.request(Method::POST, path).json(json).send().await.unwrap()).await
    }

    /// Posts and wants it to go well.
    pub(crate) async fn done(&self, path: &str, json: Value) -> Value {
        let (status, answer) = self.post(path, &json).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// Posts and wants it to be refused; why it was.
    pub(crate) async fn refused(&self, path: &str, json: Value, status: u16) -> Value {
        let (found, answer) = self.post(path, &json).await;
        assert_eq!(found.as_u16(), status, "{path}: {answer}");
        answer
    }

    pub(crate) async fn embed(&self, texts: &[&str]) -> Value {
        self.done("v1/embed", json!({ "texts": texts })).await
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("v1/embed/stats").await
    }

    pub(crate) async fn metrics(&self) -> String {
        self.http.get(self.url("metrics")).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) fn rpc(&self) -> EmbeddingsClient<kit::grpc::PeerChannel> {
        EmbeddingsClient::new(kit::grpc::channel(&self.embedd.url()).unwrap())
    }
}

/// The status and the body.
pub(crate) async fn body(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A vector of an answer.
pub(crate) fn vector(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

pub(crate) fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}
