//! That no task holds a worker: what computes or waits is on a pool.

use embedd::{Config, ModelConfig};
use kit::testing::TestServer;
use serde_json::json;

use crate::local::folder;
use crate::platform::{Platform, hash};

#[tokio::test(flavor = "multi_thread")]
async fn models_leave_the_worker_free() {
    let mut platform = Platform::start().await;
    // MiniLM, and a model whose vectors take longer to write than to make.
    let mut config = Config::default();
    let minilm = ModelConfig { path: folder(), ..ModelConfig::default() };
    config.models = [(config.model.clone(), minilm), ("hash".to_owned(), hash(384))].into();
    platform.embedd = TestServer::watched(|listener, shutdown| embedd::serve(config, listener, shutdown)).await;
    let texts = |count: usize, words: usize| -> Vec<String> {
        (0..count).map(|n| format!("{n} {}", "forklift driver ".repeat(words))).collect()
    };
    platform.done("v1/embed", json!({ "texts": texts(64, 60) })).await;
    platform.embedd.held().await.assert_short();
    platform.done("v1/embed", json!({ "texts": texts(2_000, 20), "model": "hash" })).await;
    platform.embedd.held().await.assert_short();
    // All of it from memory.
    platform.done("v1/embed", json!({ "texts": texts(2_000, 20), "model": "hash" })).await;
    platform.embedd.held().await.assert_short();
    platform.done("v1/embeddings", json!({ "input": texts(500, 20), "model": "hash" })).await;
    platform.embedd.held().await.assert_short();
    platform.done("v1/embed/tokenize", json!({ "texts": texts(500, 60) })).await;
    platform.stats().await;
    platform.embedd.held().await.assert_short();
}
