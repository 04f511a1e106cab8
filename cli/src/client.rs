//! Talking to a gateway.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::Url;

use crate::failure::{Answer, Failure, chain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One gateway, near or far.
#[derive(Clone)]
pub(crate) struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(base: Url) -> Result<Self, Failure> {
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(Failure::Usage(format!("--url takes http://HOST:PORT or https://HOST, not {base}")));
        }
        // Fails only where the process has one already, which is as good.
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            .user_agent(concat!("lakehouse/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // The system's certificates are not needed, and a small machine may have none.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| Failure::local("setting up HTTP", error))?;
        Ok(Client { base, http })
    }

    /// A request to `/…` with its segments escaped.
    pub(crate) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.http.request(method, url)
    }

    pub(crate) fn get(&self, segments: &[&str]) -> RequestBuilder {
        self.request(Method::GET, segments)
    }

    /// Sends; anything but a success is a failure in the server's words.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = self.send_for_any(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let request_id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let body = response.bytes().await.unwrap_or_default();
        Err(Failure::Answer(Box::new(Answer::new(status, request_id.as_deref(), &body))))
    }

    /// Whether there is something at `/…`.
    pub(crate) async fn is_there(&self, segments: &[&str]) -> Result<bool, Failure> {
        match self.send(self.get(segments)).await {
            Ok(_) => Ok(true),
            Err(Failure::Answer(answer)) if answer.is(StatusCode::NOT_FOUND) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Sends; every answer is welcome.
    pub(crate) async fn send_for_any(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| {
            if error.is_connect() {
                Failure::Unreachable { url: self.base.clone(), reason: root_cause(&error) }
            } else if error.is_builder() {
                Failure::Usage(chain(&error))
            } else {
                Failure::NoAnswer(root_cause(&error))
            }
        })
    }

    /// Sends and reads a JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let body = self.body(request).await?;
        serde_json::from_slice(&body).map_err(|error| Failure::Answered(error.to_string()))
    }

    /// Sends and reads a short answer.
    pub(crate) async fn body(&self, request: RequestBuilder) -> Result<Bytes, Failure> {
        let response = self.send(request).await?;
        response.bytes().await.map_err(|error| Failure::BrokenOff { bytes: 0, reason: root_cause(&error) })
    }

    /// Sends and passes the answer on as it comes. One that breaks off is a failure.
    pub(crate) async fn stream(
        &self,
        request: RequestBuilder,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut response = self.send(request).await?;
        let mut bytes = 0;
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    bytes += chunk.len() as u64;
                    take(&chunk)?;
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(Failure::BrokenOff { bytes, reason: root_cause(&error) }),
            }
        }
    }
}

/// The innermost cause: `Connection refused` says more than the layers around it.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
