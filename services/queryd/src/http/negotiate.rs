//! `Accept`.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::encode::Format;
use crate::error::Error;

/// The format that the caller likes best; JSON where it does not say.
///
/// # Errors
/// 406 where it accepts none of ours.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, Error> {
    let ranges: Vec<&str> =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(',')).collect();
    if ranges.is_empty() {
        return Ok(Format::Json);
    }
    let weight = |format: Format| {
        let matching = ranges.iter().filter_map(|range| matched(range, format.media_type()));
        // The most specific range decides (RFC 9110, 12.5.1).
        matching.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, quality)| quality)
    };
    let weighed = Format::ALL.into_iter().map(|format| (weight(format), format)).filter(|(quality, _)| *quality > 0);
    // The first of equals, which is the default.
    weighed.rev().max_by_key(|(quality, _)| *quality).map(|(_, format)| format).ok_or_else(|| {
        let ours: Vec<_> = Format::ALL.iter().map(|format| format.media_type()).collect();
        Error::NotAcceptable(format!("answers come as {}", ours.join(", ")))
    })
}

/// How specifically a range matches, and its quality in thousandths.
fn matched(range: &str, media_type: &str) -> Option<(u8, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let pattern = parts.next()?.to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
    let specificity = match pattern.split_once('/')? {
        ("*", "*") => 1,
        (kind, "*") if media_type.split('/').next() == Some(kind) => 2,
        _ if pattern == media_type => 3,
        _ => return None,
    };
    Some((specificity, (quality.clamp(0.0, 1.0) * 1_000.0) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_best_liked_format_wins() {
        for (accept, format) in [
            (None, Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("application/*"), Some(Format::Json)),
            (Some("text/*"), Some(Format::Csv)),
            (Some("text/html, */*;q=0.1"), Some(Format::Json)),
            (Some("application/json;q=0.5, text/csv"), Some(Format::Csv)),
            (Some("*/*, application/json;q=0"), Some(Format::Ndjson)),
            (Some("application/vnd.apache.arrow.stream"), Some(Format::Arrow)),
            (Some("APPLICATION/VND.APACHE.PARQUET"), Some(Format::Parquet)),
            (Some("text/html"), None),
            (Some("nonsense"), None),
        ] {
            let mut headers = HeaderMap::new();
            accept.map(|text| headers.insert(ACCEPT, HeaderValue::from_static(text)));
            assert_eq!(super::format(&headers).ok(), format, "{accept:?}");
        }
    }
}
