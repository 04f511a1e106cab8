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
    /// As the caller sent it, where it is well formed. None is made here: the request id ties a
    /// request's log lines together until spans are exported.
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
        Context { request_id, traceparent: headers.get(TRACEPARENT).filter(|value| is_traceparent(value)).cloned() }
    }

    /// The trace's id, 32 hexadecimal digits.
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_ref()?.to_str().ok()?.get(3..35)
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

/// `version-trace-parent-flags` in lower-case hexadecimal, neither id all zero; versions after 00
/// may add to it (W3C Trace Context, 3.2.2).
fn is_traceparent(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let Some((known, more)) = bytes.split_at_checked(55) else { return false };
    let hex = |range: std::ops::Range<usize>| known[range].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |range: std::ops::Range<usize>| known[range].iter().all(|b| *b == b'0');
    let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
    let ids = hex(3..35) && !zero(3..35) && hex(36..52) && !zero(36..52);
    let version = hex(0..2) && &known[..2] != b"ff" && (more.is_empty() || (&known[..2] != b"00" && more[0] == b'-'));
    dashes && ids && version && hex(53..55)
}

/// The id of the running request, outside of which there is none.
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|context| context.request_id.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_traceparent_is_dropped() {
        let kept = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_static(text));
            Context::from_headers(&headers).trace_id().map(str::to_owned)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(kept(good).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert!(kept("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").is_some());
        assert_eq!(kept("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"), None);
        assert_eq!(kept("00-00000000000000000000000000000000-b7ad6b7169203331-01"), None);
        assert_eq!(kept("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), None);
        assert_eq!(kept("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), None);
        assert_eq!(kept("00-0af7651916cd43dd8448eb211c80319c"), None);
        assert_eq!(kept(""), None);
    }
}
