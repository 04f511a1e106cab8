//! `Accept` and `Content-Type`: JSON or Arrow.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
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
    if !headers.contains_key(ACCEPT) {
        return Ok(Format::Json);
    }
    let texts = headers.get_all(ACCEPT).iter().map(|value| value.to_str().unwrap_or_default());
    let ranges: Vec<&str> = texts.flat_map(|text| text.split(',')).collect();
    match (weight(&ranges, JSON), weight(&ranges, ARROW)) {
        (0, 0) => Err(Problem::new(Code::NotAcceptable, format!("answers come as {JSON} or {ARROW}"))),
        (json, arrow) if arrow > json => Ok(Format::Arrow),
        _ => Ok(Format::Json),
    }
}

/// In thousandths, 0 where it is not accepted: the most specific range decides (RFC 9110, 12.5.1).
fn weight(ranges: &[&str], media_type: &str) -> u16 {
    let specificity = |pattern: &str| match pattern {
        "*/*" => Some(1),
        "application/*" => Some(2),
        exact => (exact == media_type).then_some(3),
    };
    let matching = ranges.iter().filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let specificity = specificity(&parts.next()?.to_ascii_lowercase())?;
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality: f32 = quality.map_or(Some(1.0), |text| text.parse().ok())?;
        Some((specificity, (quality.clamp(0.0, 1.0) * 1_000.0) as u16))
    });
    matching.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, weight)| weight)
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
    fn the_best_liked_format_wins() {
        for (accept, format) in [
            (None, Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("APPLICATION/vnd.apache.arrow.stream"), Some(Format::Arrow)),
            (Some("application/json;q=0.5, application/vnd.apache.arrow.stream"), Some(Format::Arrow)),
            (Some("application/vnd.apache.arrow.stream;q=0.5, */*;q=0.1"), Some(Format::Arrow)),
            (Some("*/*, application/json;q=0"), Some(Format::Arrow)),
            (Some("text/csv"), None),
            (Some("application/json;q=0"), None),
        ] {
            let mut headers = HeaderMap::new();
            accept.map(|text| headers.insert(ACCEPT, HeaderValue::from_static(text)));
            assert_eq!(accepted(&headers).ok(), format, "{accept:?}");
        }
    }

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
