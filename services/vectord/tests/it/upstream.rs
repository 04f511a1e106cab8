//! A remote model, by OpenAI's protocol, that takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Json, State};
use axum::routing::post;
use axum::{Router, serve};
use embedd::{ModelConfig, ProviderKind};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::RwLock;
use tokio::time::sleep;

use crate::embedder::DIMENSION;

#[derive(Clone)]
pub(crate) struct Upstream {
    address: String,
    state: Arc<Shared>,
}

struct Shared {
    pause_per_text: Duration,
    /// The most texts that were answered at once.
    most: AtomicUsize,
    gate: Arc<RwLock<()>>,
}

impl Upstream {
    pub(crate) async fn start(pause_per_text: Duration) -> Self {
        let state = Arc::new(Shared { pause_per_text, most: AtomicUsize::new(0), gate: Arc::default() });
        let routes = Router::new().route("/embeddings", post(answer)).with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { serve(listener, routes).await });
        Upstream { address, state }
    }

    /// The model behind it.
    pub(crate) fn model(&self, model: &mut ModelConfig) {
        model.provider = ProviderKind::Openai;
        model.url = Some(self.address.parse().unwrap());
        model.retries_max = 0;
    }

    pub(crate) fn most(&self) -> usize {
        self.state.most.load(Ordering::SeqCst)
    }

    /// It answers nothing as long as this is held.
    pub(crate) async fn hold(&self) -> impl Drop + use<> {
        self.state.gate.clone().write_owned().await
    }
}

/// All vectors point in one direction: nobody searches here.
async fn answer(State(state): State<Arc<Shared>>, Json(asked): Json<Value>) -> Json<Value> {
    let texts = asked["input"].as_array().unwrap().len();
    let _open = state.gate.read().await;
    sleep(state.pause_per_text * u32::try_from(texts).unwrap()).await;
    state.most.fetch_max(texts, Ordering::SeqCst);
    let vector: Vec<_> = (0..DIMENSION).collect();
    let data: Vec<_> = (0..texts).map(|index| json!({ "index": index, "embedding": vector })).collect();
    Json(json!({ "data": data }))
}
