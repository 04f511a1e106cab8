//! The way of a REST request through the gateway.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::header::{EXPECT, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body as _, Incoming};
use kit::context::REQUEST_ID;
use tokio::time::{Instant, Sleep};

use crate::error::Error;
use crate::headers::{self, Client};
use crate::request_body::{BodyLimits, RequestBody, Upload};
use crate::response_body::ResponseBody;
use crate::upstream::{Slot, Upstream};
use crate::wire::{Failure, Wire};

/// Passes a request to a service and its answer back.
pub(crate) async fn forward(
    upstream: &Arc<Upstream>,
    mut request: Request<Incoming>,
    client: &Client,
    request_id: HeaderValue,
    limits: BodyLimits,
) -> Result<Response<ResponseBody>, Error> {
    if request.body().size_hint().lower() > limits.bytes_max {
        return Err(Error::TooLong { bytes_max: limits.bytes_max });
    }
    let slot = upstream.admit()?;
    let authority = request.uri().authority().cloned();
    if authority.is_some() {
        *request.uri_mut() = origin_form(request.uri());
    }
    headers::forward(request.headers_mut(), client, &upstream.authority, authority.as_ref());
    request.headers_mut().insert(REQUEST_ID, request_id);
    *request.version_mut() = Version::HTTP_11;
    let expects = request.headers().contains_key(EXPECT);
    let (mut head, body) = request.into_parts();
    // What hyper's server put there must not reach its client.
    head.extensions = http::Extensions::new();
    let (body, upload) = RequestBody::new(body, limits, expects);
    if upload.is_none() {
        head.headers.remove(EXPECT);
    }
    let request = Request::from_parts(head, body);
    let (answer, wire) = send(upstream, request, upload, limits).await?;
    Ok(pass_back(answer, wire, slot))
}

fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map(Uri::from).unwrap_or_default()
}

fn pass_back(answer: Response<Incoming>, wire: Box<Wire>, slot: Slot) -> Response<ResponseBody> {
    let (mut head, body) = answer.into_parts();
    head.extensions = http::Extensions::new();
    headers::answer(&mut head.headers, &mut head.version);
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        // Never asked for: the gateway forwards no Upgrade.
        head.status = StatusCode::BAD_GATEWAY;
    }
    Response::from_parts(head, ResponseBody::piped(body, wire, slot))
}

/// Sends on a connection that is at hand or on a new one. A connection kept from before may have
/// been closed meanwhile: what was certainly not sent, or changes nothing, is sent once more, on a
/// new connection.
async fn send(
    upstream: &Upstream,
    mut request: Request<RequestBody>,
    upload: Option<Arc<Upload>>,
    limits: BodyLimits,
) -> Result<(Response<Incoming>, Box<Wire>), Error> {
    let timeout = upstream.head_timeout;
    let mut deadline = pin!(tokio::time::sleep(timeout));
    if let Some(upload) = upload.clone() {
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                upload.want();
            }
        });
    }
    if let Some(mut wire) = upstream.take_spare() {
        let again = is_repeatable(&request).then(|| head_of(&request));
        let sent = wire.exchange(request, deadline.as_mut(), progress(timeout, upload.as_deref())).await;
        request = match (sent, again) {
            (Ok(answer), _) => return Ok((answer, wire)),
            (Err(Failure::Unsent(request)), _) => *request,
            (Err(Failure::Broken(_)), Some(again)) => again,
            (Err(failure), None) | (Err(failure @ Failure::Late), _) => {
                return Err(explain(upstream, failure, upload.as_deref(), &limits));
            }
        };
    }
    let mut wire = upstream.connect().await?;
    match wire.exchange(request, deadline, progress(timeout, upload.as_deref())).await {
        Ok(answer) => Ok((answer, wire)),
        Err(failure) => Err(explain(upstream, failure, upload.as_deref(), &limits)),
    }
}

/// RFC 9110, 9.2.1: safe methods; and no body, which would be gone.
fn is_repeatable(request: &Request<RequestBody>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && matches!(request.body(), RequestBody::Empty)
}

fn head_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut again = Request::new(RequestBody::Empty);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = HeaderMap::clone(request.headers());
    again
}

/// The deadline counts from the last piece of the upload.
fn progress(timeout: Duration, upload: Option<&Upload>) -> impl FnMut(Pin<&mut Sleep>) -> bool {
    let mut seen = upload.map_or(0, Upload::pieces);
    move |deadline| {
        let pieces = upload.map_or(0, Upload::pieces);
        if pieces == seen {
            return true;
        }
        seen = pieces;
        deadline.reset(Instant::now() + timeout);
        false
    }
}

fn explain(upstream: &Upstream, failure: Failure, upload: Option<&Upload>, limits: &BodyLimits) -> Error {
    let service = upstream.service.name();
    match failure {
        Failure::Late => Error::TimedOut { service, after: upstream.head_timeout },
        Failure::Unsent(_) => {
            Error::Connect { service, source: std::io::Error::from(std::io::ErrorKind::ConnectionReset) }
        }
        Failure::Broken(source) => match upload.and_then(|upload| upload.fault(limits)) {
            Some(fault) => fault,
            None => Error::Upstream { service, source: source.into() },
        },
    }
}
