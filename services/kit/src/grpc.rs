//! Calling peers over gRPC.

use std::time::{Duration, Instant};

use http::HeaderMap;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use url::Url;

use crate::Caller;
use crate::caller::CALLER_KEY;
use crate::context::Context;

/// Enough for a stream of objects to fill a loopback or a fast network.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);

/// A channel that passes on the request's id and trace. Give it to a generated client.
pub type PeerChannel = InterceptedService<Channel, Propagate>;

/// A channel to the service at `url`. It connects at the first call and again whenever it has
/// to, so that services start in any order.
///
/// # Errors
/// A URL that no HTTP/2 channel can be made of.
pub fn channel(url: &Url) -> Result<PeerChannel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(url.to_string())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEPALIVE_EVERY);
    Ok(InterceptedService::new(endpoint.connect_lazy(), Propagate))
}

/// A call on behalf of `caller`, who waits until `deadline`: the peer learns of both.
pub fn request<T>(message: T, caller: &Caller, deadline: Option<Instant>) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Ok(stated) = MetadataValue::try_from(caller.to_header()) {
        request.metadata_mut().insert(CALLER_KEY, stated);
    }
    if let Some(deadline) = deadline {
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    request
}

/// Puts the running request's id and trace on each call.
#[derive(Debug, Clone, Copy)]
pub struct Propagate;

impl Interceptor for Propagate {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(context) = Context::current() {
            let mut headers = HeaderMap::new();
            context.inject(&mut headers);
            for (key, value) in MetadataMap::from_headers(headers).into_headers() {
                if let Some(key) = key
                    && let Ok(value) = MetadataValue::try_from(value.as_bytes())
                    && let Ok(key) = tonic::metadata::MetadataKey::from_bytes(key.as_str().as_bytes())
                {
                    request.metadata_mut().insert(key, value);
                }
            }
        }
        Ok(request)
    }
}
