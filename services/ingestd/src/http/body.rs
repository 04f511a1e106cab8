//! From a request's body to a spooled file: raw or multipart, compressed or not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use axum::extract::{FromRequest, Multipart, Request};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, BufReader};
use tokio_util::io::StreamReader;

use crate::error::{Error, Result};
use crate::format::{Compression, Hint};
use crate::ingest::Ingests;
use crate::metrics::Phase;
use crate::spool::Spooled;

const READ_BYTES: usize = 256 << 10;
/// Enough to tell how a body is compressed.
const HEAD_BYTES: usize = 4;

/// Spools the file that a request carries. What the request says of its format is added to `hint`.
pub(crate) async fn receive(ingests: &Arc<Ingests>, request: Request, hint: Hint) -> Result<(Spooled, Hint)> {
    let begun = Instant::now();
    let headers = request.headers().clone();
    let encoding = text(&headers, &CONTENT_ENCODING);
    let encoding = Compression::from_content_encoding(encoding.unwrap_or_default())?;
    let content_type = text(&headers, &CONTENT_TYPE).unwrap_or_default().to_owned();
    let limit = ingests.config.max_upload_bytes;
    let length = text(&headers, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(Error::TooLarge { limit, key: "max_upload_bytes" });
    }
    let received = if content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        multipart(ingests, request, encoding, hint).await
    } else {
        let said = if hint == Hint::Unknown { Hint::from_content_type(&content_type)? } else { hint };
        spool(ingests, request.into_body().into_data_stream(), encoding).await.map(|body| (body, said))
    };
    ingests.metrics.time(Phase::Receive, begun.elapsed());
    received
}

fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `curl -F file=@f`: one field, `file`. Anything else in the form is refused.
async fn multipart(
    ingests: &Arc<Ingests>,
    request: Request,
    encoding: Option<Compression>,
    hint: Hint,
) -> Result<(Spooled, Hint)> {
    if encoding.is_some() {
        return Err(Error::UnsupportedFormat("a multipart body is compressed file by file, not as a whole".into()));
    }
    let broken = |error: &dyn std::fmt::Display| Error::invalid(format!("multipart: {error}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error.body_text()))?;
    let mut received = None;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error.body_text()))? {
        if field.name() != Some("file") || received.is_some() {
            return Err(Error::invalid("multipart: the form has one field, called file"));
        }
        let by_name = field.file_name().map_or(Hint::Unknown, Hint::from_file_name);
        // curl guesses a type from few extensions: the name knows more.
        let by_type = field.content_type().map_or(Ok(Hint::Unknown), Hint::from_content_type);
        let said = match hint.or(by_name) {
            Hint::Unknown => by_type?,
            known => known,
        };
        received = Some((spool(ingests, field, None).await?, said));
    }
    received.ok_or_else(|| Error::invalid("multipart: the form has one field, called file"))
}

/// Writes a stream to the spool, decompressed, within the limits of both of its lengths.
async fn spool<S, E>(ingests: &Arc<Ingests>, body: S, encoding: Option<Compression>) -> Result<Spooled>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Unpin + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limit = ingests.config.max_upload_bytes;
    let (received, too_long) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let counted = {
        let (received, too_long) = (received.clone(), too_long.clone());
        body.map(move |chunk| {
            let chunk = chunk.map_err(io::Error::other)?;
            if received.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64 > limit {
                too_long.store(true, Ordering::Relaxed);
                return Err(io::Error::other("the body is too long"));
            }
            Ok(chunk)
        })
    };
    let spooled = copy(ingests, StreamReader::new(counted), encoding).await;
    ingests.metrics.bytes_in.inc_by(received.load(Ordering::Relaxed));
    if too_long.load(Ordering::Relaxed) {
        return Err(Error::TooLarge { limit, key: "max_upload_bytes" });
    }
    spooled
}

async fn copy<R: AsyncBufRead + Unpin + Send>(
    ingests: &Arc<Ingests>,
    mut body: R,
    encoding: Option<Compression>,
) -> Result<Spooled> {
    let broke_off = |error: io::Error| Error::invalid(format!("the body broke off or cannot be decompressed: {error}"));
    let mut head = Vec::with_capacity(HEAD_BYTES);
    (&mut body).take(HEAD_BYTES as u64).read_to_end(&mut head).await.map_err(broke_off)?;
    let sniffed = Compression::sniff(&head);
    if encoding.is_some() && sniffed != encoding && !head.is_empty() {
        return Err(Error::invalid("the body is not compressed as its content-encoding says"));
    }
    let whole = BufReader::with_capacity(READ_BYTES, io::Cursor::new(head).chain(body));
    let (mut plain, limit, key): (Pin<Box<dyn AsyncRead + Send + '_>>, _, _) = match sniffed {
        None => (Box::pin(whole), u64::MAX, "max_upload_bytes"),
        Some(Compression::Gzip) => {
            let mut decoder = GzipDecoder::new(whole);
            decoder.multiple_members(true);
            (Box::pin(decoder), ingests.config.max_expanded_bytes, "max_expanded_bytes")
        }
        Some(Compression::Zstd) => {
            let mut decoder = ZstdDecoder::new(whole);
            decoder.multiple_members(true);
            (Box::pin(decoder), ingests.config.max_expanded_bytes, "max_expanded_bytes")
        }
    };
    let mut writer = ingests.spool.create().await?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let length = plain.read(&mut buffer).await.map_err(broke_off)?;
        if length == 0 {
            return writer.finish().await;
        }
        if writer.bytes() + length as u64 > limit {
            return Err(Error::TooLarge { limit, key });
        }
        writer.write(&buffer[..length]).await?;
    }
}
