use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use kit::extract::NoQuery;
use kit::{Caller, Problem};

use super::path::RawKey;
use super::put::text;
use crate::Error;
use crate::etag::Tags;
use crate::range::ByteRange;
use crate::space::Space;
use crate::store::{IfRange, ObjectBody, ObjectMeta, Read, Selection};

/// Reads an object, or one range of it.
///
/// Several ranges in one request are answered with the whole object.
#[utoipa::path(
    get,
    path = "/v1/storage/{key}",
    tag = "storage",
    params(
        ("key" = String, Path, description = "May hold /"),
        ("Range" = Option<String>, Header, description = "bytes=first-last, bytes=first- or bytes=-length"),
        ("If-None-Match" = Option<String>, Header, description = "304 while the object is still this one"),
        ("If-Match" = Option<String>, Header, description = "Only while the object is still this one"),
        ("If-Range" = Option<String>, Header, description = "The whole object where it is no longer this one"),
    ),
    responses(
        (status = 200, description = "The object", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The range", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "Not modified"),
        (status = 404, description = "There is no such object"),
        (status = 412, description = "If-Match or If-Unmodified-Since does not hold"),
        (status = 416, description = "No byte of the range lies within the object"),
    ),
)]
pub(crate) async fn get(
    State(space): State<Arc<Space>>,
    caller: Caller,
    RawKey(key): RawKey,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let read = read(&headers, &Method::GET)?;
    match space.get(&caller, &key, &read).await {
        Ok(object) => Ok(answer(&object.meta, &object.selection, object.body)),
        Err(Error::RangeOutside { bytes }) => Ok(outside(bytes)),
        Err(error) => Err(error.into()),
    }
}

/// What is known of an object: the headers of a GET without its body.
#[utoipa::path(
    head,
    path = "/v1/storage/{key}",
    tag = "storage",
    params(("key" = String, Path, description = "May hold /")),
    responses(
        (status = 200, description = "Content-Length, Content-Type, ETag, Last-Modified"),
        (status = 304, description = "Not modified"),
        (status = 404, description = "There is no such object"),
        (status = 412, description = "If-Match or If-Unmodified-Since does not hold"),
    ),
)]
pub(crate) async fn head(
    State(space): State<Arc<Space>>,
    caller: Caller,
    RawKey(key): RawKey,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let read = read(&headers, &Method::HEAD)?;
    let meta = space.head(&caller, &key).await?;
    let selection = read.select(&meta)?;
    Ok(answer(&meta, &selection, ObjectBody::empty()))
}

/// A range is defined for GET alone.
fn read(headers: &HeaderMap, method: &Method) -> Result<Read, Error> {
    let tags = |name| text(headers, name)?.map(Tags::parse).transpose();
    let date = |name| Ok::<_, Error>(text(headers, name)?.and_then(|text| httpdate::parse_http_date(text).ok()));
    let range = match *method {
        Method::GET => text(headers, header::RANGE)?.and_then(ByteRange::parse),
        _ => None,
    };
    let if_range = match text(headers, header::IF_RANGE)? {
        None => None,
        Some(text) => Some(match httpdate::parse_http_date(text) {
            Ok(date) => IfRange::Date(date),
            Err(_) => IfRange::Tag(Tags::parse(text)?),
        }),
    };
    Ok(Read {
        range,
        if_match: tags(header::IF_MATCH)?,
        if_none_match: tags(header::IF_NONE_MATCH)?,
        if_unmodified_since: date(header::IF_UNMODIFIED_SINCE)?,
        if_modified_since: date(header::IF_MODIFIED_SINCE)?,
        if_range,
    })
}

fn answer(meta: &ObjectMeta, selection: &Selection, body: ObjectBody) -> Response {
    let (status, bytes) = match selection {
        Selection::Whole => (StatusCode::OK, Some(meta.bytes)),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range.end - range.start)),
        Selection::NotModified => (StatusCode::NOT_MODIFIED, None),
    };
    let body = match body {
        ObjectBody::Short(bytes) => Body::from(bytes),
        ObjectBody::Stream(stream) => Body::from_stream(stream),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ETAG, meta.etag.as_str());
    set(header::LAST_MODIFIED, &httpdate::fmt_http_date(meta.modified.max(SystemTime::UNIX_EPOCH)));
    set(header::ACCEPT_RANGES, "bytes");
    if let Some(bytes) = bytes {
        set(header::CONTENT_LENGTH, &bytes.to_string());
        set(header::CONTENT_TYPE, &meta.content_type);
        // What somebody uploaded must not act as a page of this origin.
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    }
    if let Selection::Part(range) = selection {
        set(header::CONTENT_RANGE, &format!("bytes {}-{}/{}", range.start, range.end - 1, meta.bytes));
    }
    response
}

fn outside(bytes: u64) -> Response {
    let mut response = Problem::from(Error::RangeOutside { bytes }).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{bytes}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}
