//! An index of vectord, through the gateway.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Body, Connection, full, get, request};
use crate::vectors::{EF_CONSTRUCTION, K, M, Set, batches, truth};

const JSON: &str = "application/json";
const ARROW: &str = "application/vnd.apache.arrow.stream";
/// Often enough for a wait of seconds, and too seldom to be felt.
const POLL_EVERY: Duration = Duration::from_millis(25);
const INDEXING_PATIENCE: Duration = Duration::from_secs(3_600);

/// What the service tells of an index, so far as it matters here.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Info {
    pub(crate) count: usize,
    pub(crate) unindexed: usize,
    pub(crate) memory_bytes: usize,
}

/// One index by its name.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    gateway: SocketAddr,
    path: String,
}

impl Index {
    /// A new one, for vectors of unit length under cosine.
    pub(crate) async fn create(gateway: SocketAddr, name: &str, dimension: usize) -> Result<Self> {
        let settings = json!({
            "name": name, "dimension": dimension, "distance": "cosine", "m": M, "ef_construction": EF_CONSTRUCTION,
        });
        let mut connection = Connection::open(gateway).await?;
        connection.fetch(post("/v1/vectors/index", JSON, settings.to_string())?).await?;
        Ok(Self::named(gateway, name))
    }

    /// One that is there already.
    pub(crate) fn named(gateway: SocketAddr, name: &str) -> Self {
        Index { gateway, path: format!("/v1/vectors/index/{name}") }
    }

    pub(crate) async fn delete(self) -> Result<()> {
        let gone = request(Method::DELETE, &self.path, &[], full(""))?;
        Connection::open(self.gateway).await?.fetch(gone).await?;
        Ok(())
    }

    pub(crate) async fn info(&self) -> Result<Info> {
        Ok(serde_json::from_slice(&crate::http::fetch(self.gateway, get(&self.path)?).await?)?)
    }

    /// Waits until at most so many items wait for the graph.
    pub(crate) async fn unindexed_at_most(&self, items: usize) -> Result<Info> {
        let started = Instant::now();
        let mut connection = Connection::open(self.gateway).await?;
        loop {
            let info: Info = serde_json::from_slice(&connection.fetch(get(&self.path)?).await?)?;
            if info.unindexed <= items {
                return Ok(info);
            }
            if started.elapsed() > INDEXING_PATIENCE {
                bail!("{} items wait for the graph after {INDEXING_PATIENCE:?}", info.unindexed);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// A batch of [`batches::json`].
    pub(crate) fn add_json(&self, batch: Bytes) -> Result<Request<Body>> {
        post(&format!("{}/add", self.path), JSON, batch)
    }

    /// A batch of [`batches::arrow`].
    pub(crate) fn add_arrow(&self, batch: Bytes) -> Result<Request<Body>> {
        post(&format!("{}/add", self.path), ARROW, batch)
    }

    pub(crate) fn delete_items(&self, rows: &[usize]) -> Result<Request<Body>> {
        let ids: Vec<String> = rows.iter().map(|row| batches::id(*row)).collect();
        post(&format!("{}/delete", self.path), JSON, json!({ "ids": ids }).to_string())
    }

    pub(crate) fn search(&self, body: Bytes) -> Result<Request<Body>> {
        post(&format!("{}/search", self.path), JSON, body)
    }

    /// An action without a body of its own.
    pub(crate) async fn act(&self, action: &str) -> Result<()> {
        let act = post(&format!("{}/{action}", self.path), JSON, "{}")?;
        Connection::open(self.gateway).await?.fetch(act).await?;
        Ok(())
    }

    /// The rows that each search finds.
    pub(crate) async fn found(&self, searches: &[Bytes]) -> Result<Vec<Vec<u32>>> {
        let mut connection = Connection::open(self.gateway).await?;
        let mut found = Vec::with_capacity(searches.len());
        for search in searches {
            let answer: Found = serde_json::from_slice(&connection.fetch(self.search(search.clone())?).await?)?;
            let rows = answer.results.iter().map(|hit| batches::row(&hit.id).context("an id of nobody"));
            found.push(rows.collect::<Result<_>>()?);
        }
        Ok(found)
    }

    /// Over all queries of the set.
    pub(crate) async fn recall(&self, set: &Set, ef: usize) -> Result<f64> {
        let found = self.found(&searches(set, ef, None, false)?).await?;
        Ok(truth::recall(&found, &set.truth))
    }
}

/// An answer to a search, so far as it matters here.
#[derive(Deserialize)]
struct Found {
    results: Vec<Nearest>,
}

#[derive(Deserialize)]
struct Nearest {
    id: String,
}

/// The bodies of searches for all queries of the set.
pub(crate) fn searches(set: &Set, ef: usize, filter: Option<&Value>, with_metadata: bool) -> Result<Vec<Bytes>> {
    let filter = filter.map(|filter| format!(r#","filter":{filter}"#)).unwrap_or_default();
    let tail = format!(r#","k":{K},"ef":{ef},"with_metadata":{with_metadata}{filter}}}"#);
    set.queries().map(|query| Ok(format!(r#"{{"vector":{}{tail}"#, batches::numbers(query)?).into())).collect()
}

fn post(path: &str, content_type: &str, body: impl Into<Bytes>) -> Result<Request<Body>> {
    request(Method::POST, path, &[("content-type", content_type)], full(body))
}
