//! `Accept` and `Content-Type`: JSON or Arrow.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use kit::{Code, Problem};

pub(super) const JSON: &str = "application/json";
/// An Arrow IPC stream.
pub(super) const ARROW: &str = "application/vnd.apache.arrow.stream";

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Arrow,
}

/// The format that the caller likes best; JSON where it does not say or likes both.
///
/// # Errors
/// 406 where it accepts neither.
pub(super) fn accepted(headers: &HeaderMap) -> Result<Format, Problem> {
    let found = kit::negotiate::accepted(headers, &[(Format::Json, JSON), (Format::Arrow, ARROW)]);
    found.ok_or_else(|| Problem::new(Code::NotAcceptable, format!("answers come as {JSON} or {ARROW}")))
}

/// What a body says that it is. curl's default and nothing at all are taken as JSON.
///
/// # Errors
/// 415 for anything that is not among `taken`.
pub(super) fn content(headers: &HeaderMap, taken: &[Format]) -> Result<Format, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Format::Json) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let found = match essence.as_str() {
        JSON | "application/x-www-form-urlencoded" => Some(Format::Json),
        ARROW => Some(Format::Arrow),
        _ => None,
    };
    found.filter(|format| taken.contains(format)).ok_or_else(|| {
        let name = |format: &Format| if *format == Format::Json { JSON } else { ARROW };
        let names: Vec<_> = taken.iter().map(name).collect();
        Problem::new(Code::UnsupportedMediaType, format!("this route takes {}, not {text:?}", names.join(" or ")))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_the_route_takes_is_read() {
        let both = [Format::Json, Format::Arrow];
        for (text, taken, format) in [
            (None, &both[..], Some(Format::Json)),
            (Some("application/json; charset=utf-8"), &both, Some(Format::Json)),
            (Some("application/x-www-form-urlencoded"), &both, Some(Format::Json)),
            (Some("application/vnd.apache.arrow.stream"), &both, Some(Format::Arrow)),
            (Some("application/vnd.apache.arrow.stream"), &both[..1], None),
            (Some("text/plain"), &both, None),
        ] {
            let mut headers = HeaderMap::new();
            text.map(|text| headers.insert(CONTENT_TYPE, HeaderValue::from_static(text)));
            assert_eq!(content(&headers, taken).ok(), format, "{text:?}");
        }
    }
}
