//! What follows a request through a service and on to its peers: its id and its trace.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The request id's header, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The W3C trace context's header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID_BYTES_MAX: usize = 128;

tokio::task_local! {
    static CURRENT: Context;
}

/// Of one request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// Accepted from the caller or made here.
    pub request_id: Arc<str>,
    /// As the caller sent it.
    pub traceparent: Option<HeaderValue>,
}

impl Context {
    /// From a request's headers; an id that is over-long or holds anything but visible ASCII is
    /// replaced by one of ours.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
        let request_id = match given {
            Some(id) => id.into(),
            None => (&*Uuid::now_v7().simple().encode_lower(&mut Uuid::encode_buffer())).into(),
        };
        Context { request_id, traceparent: headers.get(TRACEPARENT).cloned() }
    }

    /// Runs `future` with this as the current context.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// Runs `f` with this as the current context.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), f)
    }

    /// That of the running request, to hand to a task or thread which outlives its future.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Puts both headers on an outgoing request.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID, value);
        }
        if let Some(traceparent) = &self.traceparent {
            headers.insert(TRACEPARENT, traceparent.clone());
        }
    }
}

/// The id of the running request, outside of which there is none.
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|context| context.request_id.to_string()).ok()
}
