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
/// 415 for anything else than JSON, and Arrow where `arrow` is taken.
pub(super) fn content(headers: &HeaderMap, arrow: bool) -> Result<Format, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Format::Json) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        JSON | "application/x-www-form-urlencoded" => Ok(Format::Json),
        ARROW if arrow => Ok(Format::Arrow),
        _ => {
            let taken = if arrow { format!("{JSON} or {ARROW}") } else { JSON.to_owned() };
            Err(Problem::new(Code::UnsupportedMediaType, format!("this route takes {taken}, not {text:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_the_route_takes_is_read() {
        for (text, arrow, format) in [
            (None, true, Some(Format::Json)),
            (Some("application/json; charset=utf-8"), false, Some(Format::Json)),
            (Some("application/x-www-form-urlencoded"), false, Some(Format::Json)),
            (Some(ARROW), true, Some(Format::Arrow)),
            (Some(ARROW), false, None),
            (Some("text/plain"), true, None),
        ] {
            let mut headers = HeaderMap::new();
            text.map(|text| headers.insert(CONTENT_TYPE, HeaderValue::from_static(text)));
            assert_eq!(content(&headers, arrow).ok(), format, "{text:?}");
        }
    }
}
