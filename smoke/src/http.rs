//! Requests to the platform, and answers that are what they should be.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};
use url::Url;

/// A client of one gateway.
#[derive(Clone)]
pub(crate) struct Http {
    base: Url,
    client: reqwest::Client,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// `GET /health`, for messages.
    asked: String,
}

impl Http {
    pub(crate) fn new(base: Url) -> Result<Self> {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder().no_proxy().tcp_nodelay(true);
        if base.scheme() == "http" {
            // A small machine may have no certificates, and none are needed.
            builder = builder.tls_certs_only([]);
        }
        Ok(Http { base, client: builder.build()? })
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// `path` begins with `/` and is sent as it is, as far as a URL parser lets it.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base.as_str().trim_end_matches('/')))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        let request = request.build()?;
        let asked = format!("{} {}", request.method(), request.url().path());
        let response = self.client.execute(request).await.with_context(|| asked.clone())?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.with_context(|| format!("{asked}: {status}, then the body broke off"))?;
        Ok(Answer { status, headers, body, asked })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Body>) -> Result<Answer> {
        self.send(self.request(Method::PUT, path).body(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `query` as in `mode=append&format=csv`.
    pub(crate) async fn ingest(&self, name: &str, query: &str, body: impl Into<Body>) -> Result<Answer> {
        self.send(self.request(Method::POST, &format!("/v1/ingest/{name}?{query}")).body(body)).await
    }

    /// The rows of a statement that has to succeed.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<Value>> {
        let answer =
            self.post_json("/v1/sql", &json!({ "sql": sql })).await?.is(200).context(sql.to_owned())?.json()?;
        Ok(answer["rows"].as_array().context("no rows in the answer")?.clone())
    }

    /// The one value of a statement that has one.
    pub(crate) async fn value(&self, sql: &str) -> Result<Value> {
        let rows = self.rows(sql).await?;
        ensure!(rows.len() == 1, "{sql}: {} rows instead of one", rows.len());
        Ok(rows[0][0].clone())
    }

    /// The rows of a dataset.
    pub(crate) async fn count(&self, dataset: &str) -> Result<u64> {
        self.value(&format!("SELECT count(*) FROM {dataset}")).await?.as_u64().context("a count is a number")
    }
}

impl Answer {
    /// Fails, with what was answered, unless the status is this one.
    pub(crate) fn is(self, status: u16) -> Result<Self> {
        if self.status != status {
            bail!("{}: {} instead of {status}: {}", self.asked, self.status, self.start());
        }
        Ok(self)
    }

    /// Fails unless this is a problem of that status and code; returns its body.
    pub(crate) fn problem(self, status: u16, code: &str) -> Result<Value> {
        let answer = self.is(status)?;
        let media_type = answer.header("content-type").to_owned();
        let problem = answer.json()?;
        ensure!(media_type == "application/problem+json", "{}: an error as {media_type}", answer.asked);
        ensure!(problem["code"] == code, "{}: {problem} instead of the code {code}", answer.asked);
        ensure!(problem["request_id"].is_string(), "{}: no request id in {problem}", answer.asked);
        Ok(problem)
    }

    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{}: not JSON: {}", self.asked, self.start()))
    }

    /// Empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn start(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(500)]).into_owned()
    }
}
