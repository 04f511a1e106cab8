//! An answer as an HTTP response: whole where it is small, streamed where it is not.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

use crate::encode::{End, Format};
use crate::error::Error;
use crate::executor::{Answer, Piece};

/// Rows answered: a header where the answer is known whole, else a trailer.
const ROWS: HeaderName = HeaderName::from_static("lakehouse-rows");
/// `true` where `max_rows` cut the answer: likewise.
const TRUNCATED: HeaderName = HeaderName::from_static("lakehouse-truncated");

pub(super) fn respond(format: Format, first: Piece, rest: Answer) -> Response {
    let trailer = HeaderValue::from_static("lakehouse-rows, lakehouse-truncated");
    let (body, mut headers) = match first.end {
        Some(end) => (Body::from(first.bytes), ending(end)),
        None => (Body::new(Streamed { first: Some(first), rest }), HeaderMap::from_iter([(TRAILER, trailer)])),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let mut response = Response::new(body);
    response.headers_mut().extend(headers);
    response
}

fn ending(end: End) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(ROWS, end.rows.into());
    headers.insert(TRUNCATED, HeaderValue::from_static(if end.truncated { "true" } else { "false" }));
    headers
}

/// An error on the way makes the body fail, and with it the connection: in no format can a client
/// take what it has for the whole.
struct Streamed {
    first: Option<Piece>,
    rest: Answer,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let piece = match self.first.take() {
            Some(piece) => piece,
            None => match std::task::ready!(self.rest.poll_next(context)) {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => {
                    tracing::warn!(%error, "an answer broke off");
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(None),
            },
        };
        if piece.bytes.is_empty()
            && let Some(end) = piece.end
        {
            return Poll::Ready(Some(Ok(Frame::trailers(ending(end)))));
        }
        if let Some(end) = piece.end {
            // The bytes now, the trailers on the next call.
            self.first = Some(Piece { bytes: Bytes::new(), end: Some(end) });
        }
        Poll::Ready(Some(Ok(Frame::data(piece.bytes))))
    }
}
