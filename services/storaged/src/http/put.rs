use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, StatusCode};
use kit::extract::NoQuery;
use kit::{Caller, Problem};

use super::path::RawKey;
use super::wire;
use crate::etag::Condition;
use crate::space::{PutOrder, Space};
use crate::{Error, content_type};

/// Stores the body as an object: whole or not at all, and durable when answered.
///
/// 201 where the object is new, 200 where it took another's place; an S3 backend does not say
/// which of the two happened to an unconditional write, which is then 200.
#[utoipa::path(
    put,
    path = "/v1/storage/{key}",
    tag = "storage",
    params(
        ("key" = String, Path, description = "May hold /"),
        ("If-None-Match" = Option<String>, Header, description = "*: only where there is no such object"),
        ("If-Match" = Option<String>, Header, description = "Only while the object is still this one"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "Replaced", body = wire::Stored),
        (status = 201, description = "Created", body = wire::Stored),
        (status = 400, description = "The key or a header is not valid, or the body broke off"),
        (status = 409, description = "Another conditional write of the key is under way"),
        (status = 412, description = "If-None-Match or If-Match does not hold"),
        (status = 413, description = "Longer than max_object_bytes"),
        (status = 503, description = "As many uploads as are taken at once are running"),
        (status = 507, description = "The disk is full"),
    ),
)]
pub(crate) async fn put(
    State(space): State<Arc<Space>>,
    caller: Caller,
    RawKey(key): RawKey,
    _: NoQuery,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = body.into_data_stream().map_err(|error| Error::BodyBrokeOff(error.into()));
    let stored = space.put(&caller, order(key.clone(), &parts.headers)?, body.boxed()).await?;
    let status = if stored.created == Some(true) { StatusCode::CREATED } else { StatusCode::OK };
    let etag = HeaderValue::from_str(stored.etag.as_str()).map_err(|error| Problem::invalid(error.to_string()))?;
    Ok((status, [(header::ETAG, etag)], Json(wire::Stored::new(key, &stored))).into_response())
}

fn order(key: String, headers: &HeaderMap) -> Result<PutOrder, Error> {
    // What these ask for cannot be kept, and to ignore them would store something else.
    if text(headers, header::CONTENT_ENCODING)?.is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        let reason = "objects are stored as they are sent: leave out Content-Encoding".to_owned();
        return Err(Error::UnsupportedMediaType { reason });
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(Error::InvalidArgument { reason: "a part of an object cannot be written".into() });
    }
    let bytes = text(headers, header::CONTENT_LENGTH)?.and_then(|length| length.parse().ok());
    let content_type = content_type::stated(text(headers, header::CONTENT_TYPE).unwrap_or_default());
    Ok(PutOrder { key, bytes, content_type, condition: condition(headers)? })
}

/// The condition of a write.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, Error> {
    if headers.contains_key(header::IF_UNMODIFIED_SINCE) {
        let reason = "a write's condition is If-Match or If-None-Match: dates are too coarse".to_owned();
        return Err(Error::InvalidArgument { reason });
    }
    Condition::parse(text(headers, header::IF_NONE_MATCH)?, text(headers, header::IF_MATCH)?)
}

/// A header's value, which has to be text and there once.
pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(&name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(Error::InvalidArgument { reason: format!("the header {name} is not valid") }),
    }
}
