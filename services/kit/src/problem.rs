//! RFC 9457 problem bodies, and the same errors as gRPC statuses.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::{Code, context};

/// The metadata key that carries [`Code::as_str`] on a gRPC status.
const CODE_KEY: &str = "lakehouse-code";
/// Of a status: see [`cut`].
const GRPC_DETAIL_BYTES_MAX: usize = 4 << 10;
const RETRY_AFTER_KEY: &str = "retry-after";

/// What a service's error enum says of itself; the rest (problem body, gRPC status, log line)
/// follows from it.
pub trait ServiceError: Error + Send + Sync + 'static {
    /// Matches every variant, without `_`.
    fn code(&self) -> Code;

    /// What the client is told. For codes of 500 and above the default hides the message, which
    /// may name paths or SQL: override it only with words that are safe outside.
    fn public_detail(&self) -> String {
        let code = self.code();
        if code.http_status().is_server_error() && code != Code::Overloaded {
            code.title().to_owned()
        } else {
            self.to_string()
        }
    }

    /// When it may be worth to try again.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// More members of the problem body, by name.
    fn extensions(&self) -> Map<String, Value> {
        Map::new()
    }
}

/// An error as the outside sees it. Made at the edge of a service, from its error enum.
#[derive(Clone)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// One sentence: what is wrong, and where.
    pub detail: String,
    /// For 429 and 503.
    pub retry_after: Option<Duration>,
    /// More members of the body.
    pub extensions: Map<String, Value>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem with no cause worth logging.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem { code, detail: detail.into(), retry_after: None, extensions: Map::new(), source: None }
    }

    /// 400 `invalid_argument`.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, detail)
    }

    /// With a `Retry-After`.
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// With the cause, which is logged and never shown.
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The body, with the request id of the running request.
    pub fn body(&self) -> Value {
        let mut body = self.extensions.clone();
        body.insert("type".into(), format!("urn:lakehouse:problem:{}", self.code.as_str()).into());
        body.insert("title".into(), self.code.title().into());
        body.insert("status".into(), self.code.http_status().as_u16().into());
        body.insert("detail".into(), self.detail.clone().into());
        body.insert("code".into(), self.code.as_str().into());
        if let Some(id) = context::request_id() {
            body.insert("request_id".into(), id.into());
        }
        Value::Object(body)
    }

    /// As a gRPC response of trailers alone, where no tonic service answers.
    pub fn into_grpc(self) -> Response {
        tonic::Status::from(self).into_http()
    }

    /// Logs a failure of ours, with its chain of causes: called once, where it leaves the service.
    fn log(&self) {
        let status = self.code.http_status();
        let causes = self.source.as_deref().map(chain).unwrap_or_default();
        // Without a cause it is an answer (not ready yet, not built in), not a failure.
        let context = Context::current();
        let request_id = context.as_ref().map(|context| &*context.request_id).unwrap_or_default();
        let trace_id = context.as_ref().and_then(Context::trace_id);
        let is_failure = status.is_server_error() && self.code != Code::Overloaded;
        if is_failure && (self.source.is_some() || self.code == Code::Internal) {
            tracing::error!(code = self.code.as_str(), detail = %self.detail, %causes, request_id, trace_id, "request failed");
        } else {
            tracing::debug!(code = self.code.as_str(), detail = %self.detail, %causes, request_id, trace_id, "request refused");
        }
    }

    /// The status of a call to `peer`, as this service's own problem. Details of refusals are
    /// passed on; those of failures are replaced, as the log of the peer has them.
    pub fn from_status(peer: &str, status: tonic::Status) -> Self {
        let stated = status.metadata().get(CODE_KEY).and_then(|v| v.to_str().ok()).and_then(Code::parse);
        let code = stated.unwrap_or_else(|| Code::from_grpc(status.code()));
        let retry_after = status
            .metadata()
            .get(RETRY_AFTER_KEY)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.parse().ok())
            .map(Duration::from_secs);
        let detail = if stated.is_some() || !code.http_status().is_server_error() {
            status.message().to_owned()
        } else {
            format!("{peer}: {}", code.title())
        };
        Problem { code, detail, retry_after, extensions: Map::new(), source: Some(Arc::new(status)) }
    }
}

/// A detail as it fits into a header, which holds 16 KiB of what takes up to three bytes for each. One that is too
/// long, as it quotes a request, would break the call off and look like a failure of the service.
fn cut(mut detail: String) -> String {
    if detail.len() > GRPC_DETAIL_BYTES_MAX {
        detail.truncate(detail.floor_char_boundary(GRPC_DETAIL_BYTES_MAX));
        detail.push('…');
    }
    detail
}

/// `a: b: c`, the way down to the first cause.
fn chain(error: &(dyn Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl<E: ServiceError> From<E> for Problem {
    fn from(error: E) -> Self {
        Problem {
            code: error.code(),
            detail: error.public_detail(),
            retry_after: error.retry_after(),
            extensions: error.extensions(),
            source: Some(Arc::new(error)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.log();
        let mut response = (self.code.http_status(), self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }
}

impl From<Problem> for tonic::Status {
    fn from(problem: Problem) -> Self {
        problem.log();
        let mut status = tonic::Status::new(problem.code.grpc_code(), cut(problem.detail));
        status.metadata_mut().insert(CODE_KEY, tonic::metadata::MetadataValue::from_static(problem.code.as_str()));
        if let Some(after) = problem.retry_after {
            status.metadata_mut().insert(RETRY_AFTER_KEY, after.as_secs().max(1).into());
        }
        status
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)?;
        match &self.source {
            Some(source) => write!(f, " ({})", chain(source.as_ref())),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("no object {0}")]
        Missing(String),
        #[error("/var/lib/secret is gone")]
        Disk,
    }

    impl ServiceError for Failure {
        fn code(&self) -> Code {
            match self {
                Failure::Missing(_) => Code::NotFound,
                Failure::Disk => Code::Internal,
            }
        }
    }

    #[test]
    fn a_failure_inside_does_not_show_its_words() {
        let problem = Problem::from(Failure::Disk);
        assert!(!problem.body().to_string().contains("secret"));
        assert!(format!("{problem:?}").contains("secret"), "the log has them");
    }

    #[test]
    fn a_problem_crosses_grpc_unchanged() {
        let there = Problem::from(Failure::Missing("a/b".into())).with_retry_after(Duration::from_secs(5));
        let back = Problem::from_status("storaged", tonic::Status::from(there));
        assert_eq!((back.code, back.detail.as_str()), (Code::NotFound, "no object a/b"));
        assert_eq!(back.retry_after, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_detail_is_cut_where_a_header_ends() {
        let there = Problem::from(Failure::Missing("ü".repeat(50_000)));
        let status = tonic::Status::from(there);
        assert!(status.message().len() < 5_000 && status.message().ends_with("ü…"), "{}", status.message().len());
        let back = Problem::from_status("storaged", status);
        assert_eq!(back.code, Code::NotFound);
    }

    #[test]
    fn a_transport_failure_names_the_peer_alone() {
        let status = tonic::Status::unavailable("tcp connect error: /run/x.sock");
        let problem = Problem::from_status("catalogd", status);
        assert_eq!(problem.code, Code::Unavailable);
        assert_eq!(problem.detail, "catalogd: The service is not available");
    }
}
