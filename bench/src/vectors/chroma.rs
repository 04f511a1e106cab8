//! A collection of Chroma's server, by its HTTP API (version 2).

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request};
use serde::Deserialize;
use serde_json::json;

use crate::http::{Body, Connection, fetch, full, request};
use crate::vectors::{EF_CONSTRUCTION, K, M, Set, batches, truth};

const COLLECTIONS: &str = "/api/v2/tenants/default_tenant/databases/default_database/collections";
/// Candidates kept on the way of a search.
pub(crate) const EF_SEARCH: usize = 128;

/// One collection, cosine.
pub(crate) struct Collection {
    address: SocketAddr,
    name: String,
    path: String,
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

#[derive(Deserialize)]
struct Found {
    ids: Vec<Vec<String>>,
}

impl Collection {
    pub(crate) async fn create(address: SocketAddr, name: &str) -> Result<Self> {
        let hnsw = json!({
            "space": "cosine", "max_neighbors": M, "ef_construction": EF_CONSTRUCTION, "ef_search": EF_SEARCH,
        });
        let body = json!({ "name": name, "configuration": { "hnsw": hnsw } }).to_string();
        let created: Created = serde_json::from_slice(&fetch(address, post(COLLECTIONS, body)?).await?)?;
        Ok(Collection { address, name: name.to_owned(), path: format!("{COLLECTIONS}/{}", created.id) })
    }

    pub(crate) async fn delete(self) -> Result<()> {
        fetch(self.address, request(Method::DELETE, &format!("{COLLECTIONS}/{}", self.name), &[], full(""))?).await?;
        Ok(())
    }

    /// A batch of [`batches::chroma`].
    pub(crate) fn add(&self, batch: Bytes) -> Result<Request<Body>> {
        post(&format!("{}/add", self.path), batch)
    }

    pub(crate) fn query(&self, body: Bytes) -> Result<Request<Body>> {
        post(&format!("{}/query", self.path), body)
    }

    /// Over all queries of the set, whose bodies are `queries`.
    pub(crate) async fn recall(&self, set: &Set, queries: &[Bytes]) -> Result<f64> {
        let mut connection = Connection::open(self.address).await?;
        let mut found = Vec::with_capacity(queries.len());
        for query in queries {
            let answer: Found = serde_json::from_slice(&connection.fetch(self.query(query.clone())?).await?)?;
            let ids = answer.ids.first().context("no list of ids")?;
            let rows = ids.iter().map(|id| batches::row(id).context("an id of nobody"));
            found.push(rows.collect::<Result<_>>()?);
        }
        Ok(truth::recall(&found, &set.truth))
    }
}

/// The bodies of queries for all queries of the set: ids and distances alone.
pub(crate) fn queries(set: &Set) -> Result<Vec<Bytes>> {
    let tail = format!(r#"],"n_results":{K},"include":["distances"]}}"#);
    set.queries()
        .map(|query| Ok(format!(r#"{{"query_embeddings":[{}{tail}"#, batches::numbers(query)?).into()))
        .collect()
}

fn post(path: &str, body: impl Into<Bytes>) -> Result<Request<Body>> {
    request(Method::POST, path, &[("content-type", "application/json")], full(body))
}
