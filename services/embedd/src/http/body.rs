//! Bodies with texts: what is long is parsed off the async workers.

use std::error::Error as _;

use axum::extract::Request;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http_body_util::LengthLimitError;
use kit::extract::from_json;
use kit::{Code, Problem};
use serde::de::DeserializeOwned;

use super::Desk;

/// Longer bodies hold an async worker up for more than some hundred microseconds.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// The whole body, of at most `body_bytes_max`.
///
/// # Errors
/// 413 beyond it, before anything is read where the length is stated; 400 for a body that breaks off.
pub(super) async fn read(desk: &Desk, request: Request) -> Result<Bytes, Problem> {
    let limit = desk.embedder.config().body_bytes_max;
    let too_long =
        || Problem::new(Code::PayloadTooLarge, format!("the body is longer than {limit} bytes (body_bytes_max)"));
    let stated = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if stated.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit as u64) {
        return Err(too_long());
    }
    axum::body::to_bytes(request.into_body(), limit).await.map_err(|error| {
        let too_much = error.source().is_some_and(|source| source.is::<LengthLimitError>());
        if too_much { too_long() } else { Problem::invalid("the body broke off before its end").with_source(error) }
    })
}

/// Does what a body asks for before any waiting: here where it is short, in the pool where it is long.
///
/// # Errors
/// Those of `work`; too many long bodies.
pub(super) async fn work<T: Send + 'static>(
    desk: &Desk,
    body: Bytes,
    work: impl FnOnce(Bytes) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if body.len() <= INLINE_BYTES_MAX { work(body) } else { desk.pool.run(move || work(body)).await? }
}

/// JSON; the path of what is wrong costs time, so it is looked for only once something is.
///
/// # Errors
/// 400 with the path of the field.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(text).or_else(|_| from_json(text))
}
