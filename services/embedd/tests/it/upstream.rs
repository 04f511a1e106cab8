//! Servers that embed: they speak Ollama's or OpenAI's protocol, count what they are asked, and misbehave when told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, body::Body};
use embedd::{ModelConfig, ProviderKind};
use kit::Secret;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

pub(crate) const KEY: &str = "sk-very-secret-0123456789";
/// No upstream takes a batch with this text.
pub(crate) const BAD: &str = "refuse this";

/// What an upstream does instead of answering well.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// A status, a Retry-After and a body.
    Status(u16, Option<&'static str>, &'static str),
    /// 200 with this body.
    Body(&'static str),
    /// A vector less than asked for.
    Short,
    /// Vectors of this many numbers.
    Dimension(usize),
    /// This, as JSON, among the numbers.
    Number(&'static str),
    /// No answer, ever.
    Never,
}

#[derive(Clone)]
pub(crate) struct Upstream {
    url: String,
    state: Arc<Shared>,
}

struct Shared {
    /// The texts of each call, in the order in which they came.
    calls: watch::Sender<Vec<Vec<String>>>,
    /// Calls whose client left before the answer.
    left: watch::Sender<usize>,
    faults: Mutex<VecDeque<Fault>>,
    keys: Mutex<Vec<String>>,
    /// Answers need a permit of it.
    gate: Semaphore,
}

/// The numbers that stand for a text.
pub(crate) fn numbers(text: &str) -> Vec<f32> {
    let sum: u32 = text.bytes().map(u32::from).sum();
    vec![sum as f32 / 8.0, text.len() as f32, 1.0, -0.5]
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Shared {
            calls: watch::Sender::default(),
            left: watch::Sender::default(),
            faults: Mutex::default(),
            keys: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        });
        let routes = Router::new()
            .route("/v1/embeddings", post(|state, headers, json| answer(state, headers, json, true)))
            .route("/api/embed", post(|state, headers, json| answer(state, headers, json, false)))
            .with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Upstream { url, state }
    }

    /// A model behind it.
    pub(crate) fn model(&self, provider: ProviderKind) -> ModelConfig {
        let path = if provider == ProviderKind::Openai { "v1" } else { "" };
        ModelConfig {
            provider,
            url: Some(format!("{}{path}", self.url).parse().unwrap()),
            api_key: Secret::new(KEY),
            retries_max: 0,
            ..ModelConfig::default()
        }
    }

    /// What the next calls get.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.faults.lock().unwrap().extend(faults);
    }

    /// The texts of each call so far.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        self.state.calls.borrow().clone()
    }

    /// Every text that it was asked for, sorted.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts = self.calls().concat();
        texts.sort();
        texts
    }

    /// The `Authorization` of each call.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.state.keys.lock().unwrap().clone()
    }

    /// Waits until it was called so often.
    pub(crate) async fn called(&self, times: usize) {
        self.state.calls.subscribe().wait_for(|calls| calls.len() >= times).await.unwrap();
    }

    /// Waits until so many clients left before their answer.
    pub(crate) async fn left(&self, times: usize) {
        self.state.left.subscribe().wait_for(|left| *left >= times).await.unwrap();
    }

    /// From now on it does not answer, until [`Upstream::release`].
    pub(crate) fn hold(&self) {
        self.state.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn release(&self) {
        self.state.gate.add_permits(Semaphore::MAX_PERMITS);
    }
}

/// Counts a call that was dropped.
struct Leaves<'a>(&'a Shared, bool);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.left.send_modify(|left| *left += 1);
        }
    }
}

async fn answer(
    State(state): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
    is_openai: bool,
) -> Response {
    let texts: Vec<String> = asked["input"].as_array().unwrap().iter().map(text).collect();
    let key = headers.get("authorization").map(|key| key.to_str().unwrap().to_owned());
    state.keys.lock().unwrap().extend(key);
    let fault = state.faults.lock().unwrap().pop_front();
    state.calls.send_modify(|calls| calls.push(texts.clone()));
    let mut leaves = Leaves(&state, false);
    let _permit = state.gate.acquire().await.unwrap();
    leaves.1 = true;
    if texts.iter().any(|text| text == BAD) {
        let message = format!("bad input, said with Bearer {KEY}\n");
        let error = if is_openai { json!({ "message": message }) } else { json!(message) };
        return (StatusCode::BAD_REQUEST, json!({ "error": error }).to_string()).into_response();
    }
    let mut vectors: Vec<Value> = texts.iter().map(|text| json!(numbers(text))).collect();
    match fault {
        None => {}
        Some(Fault::Status(status, after, body)) => {
            let mut response = Response::builder().status(status);
            if let Some(after) = after {
                response = response.header("retry-after", after);
            }
            return response.body(Body::from(body)).unwrap();
        }
        Some(Fault::Body(body)) => return body.into_response(),
        Some(Fault::Short) => _ = vectors.pop(),
        Some(Fault::Dimension(count)) => vectors.iter_mut().for_each(|vector| *vector = json!(vec![0.5; count])),
        Some(Fault::Number(number)) => {
            let body = good(&asked, vectors, is_openai).to_string();
            return body.replacen("-0.5", number, 1).into_response();
        }
        Some(Fault::Never) => std::future::pending().await,
    }
    Json(good(&asked, vectors, is_openai)).into_response()
}

fn text(input: &Value) -> String {
    input.as_str().map_or_else(|| input.to_string(), str::to_owned)
}

/// As the protocol has it, and by another name of the model than the one that was asked for.
fn good(asked: &Value, vectors: Vec<Value>, is_openai: bool) -> Value {
    let model = format!("{}-2026-11-01", asked["model"].as_str().unwrap());
    let tokens = 3 * vectors.len();
    if !is_openai {
        return json!({ "model": model, "embeddings": vectors, "prompt_eval_count": tokens });
    }
    assert_eq!(asked["encoding_format"], "float");
    let datum = |(index, vector)| json!({ "object": "embedding", "index": index, "embedding": vector });
    // Last to first: only the index says which is which.
    let data: Vec<Value> = vectors.into_iter().enumerate().rev().map(datum).collect();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    json!({ "object": "list", "data": data, "model": model, "usage": usage })
}
