//! A server that speaks OpenAI's protocol and counts the texts that it is asked for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::extract::{DefaultBodyLimit, Json, State};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What a call takes elsewhere, at least: long enough for other requests to come meanwhile.
const ANSWERS_AFTER: Duration = Duration::from_millis(20);
const BODY_BYTES_MAX: usize = 16 << 20;

pub(crate) struct Upstream {
    address: SocketAddr,
    asked: Asked,
}

/// How often each text was asked for.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<HashMap<String, u64>>>);

impl Asked {
    fn texts(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Call {
    model: String,
    input: Vec<String>,
}

impl Upstream {
    /// It ends with the program.
    pub(crate) async fn start(answers_after: Duration) -> Result<Self> {
        let asked = Asked::default();
        let routes = axum::Router::new()
            .route("/v1/embeddings", post(answer))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state((asked.clone(), answers_after));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Upstream { address, asked })
    }

    /// Like one that is elsewhere.
    pub(crate) async fn distant() -> Result<Self> {
        Self::start(ANSWERS_AFTER).await
    }

    /// What makes it the only model of an embedd.
    pub(crate) fn settings(&self) -> Vec<String> {
        vec![
            "embedd.model=\"remote\"".to_owned(),
            "embedd.models.remote.provider=\"openai\"".to_owned(),
            format!("embedd.models.remote.url=\"http://{}/v1\"", self.address),
        ]
    }

    /// How many different texts it was asked for, and how many altogether.
    pub(crate) fn counted(&self) -> (usize, u64) {
        let texts = self.asked.texts();
        (texts.len(), texts.values().sum())
    }
}

async fn answer(State((asked, after)): State<(Asked, Duration)>, Json(call): Json<Call>) -> Json<Value> {
    let count = call.input.len();
    let data = call.input.iter().enumerate().map(|(index, text)| {
        let numbers = [text.len() as f32, 1.0, -0.5, index as f32];
        json!({ "object": "embedding", "index": index, "embedding": numbers })
    });
    let data: Vec<Value> = data.collect();
    call.input.into_iter().for_each(|text| *asked.texts().entry(text).or_default() += 1);
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
    let usage = json!({ "prompt_tokens": 3 * count, "total_tokens": 3 * count });
    Json(json!({ "object": "list", "data": data, "model": call.model, "usage": usage }))
}
