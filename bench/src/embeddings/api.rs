//! embedd, through the gateway or as a process of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use crate::env::Env;
use crate::http::{Body, fetch, full, get, request};
use crate::server::{Server, free_address};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const POLL_EVERY: Duration = Duration::from_millis(5);

/// What `/v1/embed/stats` answers, so far as it matters here.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Stats {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

#[derive(Deserialize)]
struct Embedded {
    vectors: Vec<Vec<f32>>,
}

/// The body of `POST /v1/embed`.
pub(crate) fn body(texts: &[String]) -> Bytes {
    json!({ "texts": texts }).to_string().into()
}

/// `POST /v1/embed`, answered in JSON.
pub(crate) fn embed(body: Bytes) -> Result<Request<Body>> {
    request(Method::POST, "/v1/embed", &JSON, full(body))
}

/// The body of `POST /v1/embeddings`, for vectors in base64.
pub(crate) fn openai_body(texts: &[String]) -> Bytes {
    json!({ "input": texts, "encoding_format": "base64" }).to_string().into()
}

/// `POST /v1/embeddings`, OpenAI's.
pub(crate) fn openai(body: Bytes) -> Result<Request<Body>> {
    request(Method::POST, "/v1/embeddings", &JSON, full(body))
}

/// The vectors of texts.
pub(crate) async fn vectors(address: SocketAddr, texts: &[String]) -> Result<Vec<Vec<f32>>> {
    let answer: Embedded = serde_json::from_slice(&fetch(address, embed(body(texts))?).await?)?;
    Ok(answer.vectors)
}

pub(crate) async fn stats(address: SocketAddr) -> Result<Stats> {
    serde_json::from_slice(&fetch(address, get("/v1/embed/stats")?).await?).context("the stats")
}

/// embedd as a process of its own.
pub(crate) struct Embedd {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

impl Embedd {
    /// With `settings` as `--set` takes them.
    pub(crate) async fn start(env: &Env, settings: &[String]) -> Result<Self> {
        let address = free_address().await?;
        let mut command = Command::new(env.binary("embedd")?);
        command.current_dir(env.work()).arg("--set").arg(format!("embedd.listen=\"{address}\""));
        settings.iter().for_each(|setting| _ = command.arg("--set").arg(setting));
        let mut server = Server::start("embedd", &mut command, env.work())?;
        server.ready(address, "/health/readiness", POLL_EVERY).await?;
        Ok(Embedd { server, address })
    }
}
