//! An embedd that a test can stop, and start again as another.

use std::net::SocketAddr;

use embedd::{ModelConfig, ProviderKind};
use kit::testing::TestServer;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Numbers in a vector of its model.
pub(crate) const DIMENSION: usize = 8;

/// embedd with the one model `hash`, of which texts that are the same have the same vector.
pub(crate) struct Embedder {
    address: SocketAddr,
    running: Option<TestServer>,
    http: reqwest::Client,
}

impl Embedder {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut embedd::Config)) -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        // Its own port, which stays its own while it is away.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let mut embedder = Embedder { address, running: None, http };
        embedder.serve(listener, change).await;
        embedder
    }

    async fn serve(&mut self, listener: TcpListener, change: impl FnOnce(&mut embedd::Config)) {
        let model = ModelConfig { provider: ProviderKind::Hash, dimension: DIMENSION, ..ModelConfig::default() };
        let mut config = embedd::Config { model: "hash".into(), ..embedd::Config::default() };
        config.models.insert("hash".into(), model);
        change(&mut config);
        let running = TestServer::start(|_, shutdown| embedd::serve(config, listener, shutdown)).await;
        self.running = Some(running);
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://{}/", self.address).parse().unwrap()
    }

    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    /// Where it was before, with an empty cache, and its model as `change` makes it.
    pub(crate) async fn back(&mut self, change: impl FnOnce(&mut ModelConfig)) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener, |config| change(config.models.get_mut("hash").unwrap())).await;
    }

    async fn stats(&self) -> Value {
        self.http.get(self.url().join("v1/embed/stats").unwrap()).send().await.unwrap().json().await.unwrap()
    }

    /// How many texts it has computed since it was started.
    pub(crate) async fn computed(&self) -> u64 {
        self.stats().await["misses"].as_u64().unwrap()
    }

    /// How many texts it was asked for since then, those that it knew already too.
    pub(crate) async fn asked(&self) -> u64 {
        let stats = self.stats().await;
        stats["hits"].as_u64().unwrap() + stats["misses"].as_u64().unwrap()
    }

    /// The vectors that it has for texts.
    pub(crate) async fn vectors(&self, texts: Vec<String>) -> Vec<Vec<f32>> {
        let asked = json!({ "texts": texts });
        let url = self.url().join("v1/embed").unwrap();
        let mut answer: Value = self.http.post(url).json(&asked).send().await.unwrap().json().await.unwrap();
        serde_json::from_value(answer["vectors"].take()).unwrap()
    }
}
