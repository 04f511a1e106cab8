//! The way of a gRPC call through the gateway: HTTP/2 on both sides, trailers included.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, TE};
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kit::context::REQUEST_ID;

use crate::config::Config;
use crate::error::Error;
use crate::headers::{self, Client};
use crate::request_body::{BodyLimits, RequestBody};
use crate::response_body::ResponseBody;
use crate::upstream::Upstream;

const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const PING_EVERY: Duration = Duration::from_secs(20);

/// One HTTP/2 connection per service, made when it is needed.
#[derive(Clone)]
pub(crate) struct GrpcPool(Pool<HttpConnector, RequestBody>);

impl GrpcPool {
    pub(crate) fn new(config: &Config) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.connect_timeout));
        let pool = Pool::builder(TokioExecutor::new())
            .http2_only(true)
            .timer(TokioTimer::new())
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(PING_EVERY)
            .build(connector);
        GrpcPool(pool)
    }

    /// Passes a call to a service and its answer, a stream perhaps, back. Its messages are limited
    /// by the service, its time by the caller's `grpc-timeout`.
    pub(crate) async fn forward(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<Incoming>,
        client: &Client,
        request_id: HeaderValue,
        limits: BodyLimits,
    ) -> Result<Response<ResponseBody>, Error> {
        if request.method() != Method::POST || request.version() != Version::HTTP_2 {
            return Err(Error::NotGrpc);
        }
        let slot = upstream.admit()?;
        let (mut head, body) = request.into_parts();
        let asked = head.uri.authority().cloned();
        head.extensions = http::Extensions::new();
        headers::forward(&mut head.headers, client, &upstream.authority, asked.as_ref());
        head.headers.remove(http::header::HOST);
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
        head.headers.insert(REQUEST_ID, request_id);
        head.uri = absolute(&head.uri, &upstream.authority);
        let (body, upload) = RequestBody::new(body, limits, false);
        let service = upstream.service.name();
        let answered = self.0.request(Request::from_parts(head, body)).await;
        let answer = answered.map_err(|error| {
            if let Some(fault) = upload.and_then(|upload| upload.fault(&limits)) {
                return fault;
            }
            if error.is_connect() {
                Error::Connect { service, source: std::io::Error::other(error) }
            } else {
                Error::Upstream { service, source: error.into() }
            }
        })?;
        let (mut head, body) = answer.into_parts();
        head.extensions = http::Extensions::new();
        headers::strip_hop(&mut head.headers);
        Ok(Response::from_parts(head, ResponseBody::Grpc { body, _slot: slot }))
    }
}

fn absolute(uri: &Uri, authority: &HeaderValue) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = authority.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).unwrap_or_default()
}
