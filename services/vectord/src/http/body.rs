//! Bodies of requests: what is long is parsed off the async workers.

use std::error::Error as _;

use axum::body::HttpBody;
use axum::extract::Request;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http_body_util::LengthLimitError;
use kit::extract::{from_json, read_message};
use kit::{Code, Problem};
use serde::de::DeserializeOwned;

use super::negotiate::{self, Format};
use crate::indexes::Indexes;

/// Longer JSON holds an async worker up for more than some hundred microseconds.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// A JSON body of at most `message_bytes_max`.
///
/// # Errors
/// 415, 413, and 400 with the path of the field.
pub(super) async fn json<T>(indexes: &Indexes, request: Request) -> Result<T, Problem>
where
    T: DeserializeOwned + Send + 'static,
{
    negotiate::content(request.headers(), &[Format::Json])?;
    let body = read_message(request).await?;
    if body.len() <= INLINE_BYTES_MAX {
        return parse(&body);
    }
    indexes.batches().run(move || parse(&body)).await?
}

/// As [`json`]; no body at all is an empty object.
///
/// # Errors
/// As [`json`].
pub(super) async fn json_or_nothing<T>(indexes: &Indexes, request: Request) -> Result<T, Problem>
where
    T: DeserializeOwned + Default + Send + 'static,
{
    if request.body().is_end_stream() { Ok(T::default()) } else { json(indexes, request).await }
}

/// JSON; the path of what is wrong costs time, so it is looked for only once something is.
///
/// # Errors
/// 400 with the path of the field.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(text).or_else(|_| from_json(text))
}

/// The body of an add, of at most `batch_bytes_max`.
///
/// # Errors
/// 413 beyond it, before anything is read where the length is stated; 400 for a body that breaks off.
pub(super) async fn batch(indexes: &Indexes, request: Request) -> Result<Bytes, Problem> {
    let limit = indexes.config().batch_bytes_max;
    let too_long =
        || Problem::new(Code::PayloadTooLarge, format!("the body is longer than {limit} bytes (batch_bytes_max)"));
    // The header, as the body's own size does not come through what watches its pace.
    let stated = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if stated.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit as u64) {
        return Err(too_long());
    }
    axum::body::to_bytes(request.into_body(), limit).await.map_err(|error| {
        let too_much = error.source().is_some_and(|source| source.is::<LengthLimitError>());
        if too_much { too_long() } else { Problem::invalid("the body broke off before its end").with_source(error) }
    })
}
