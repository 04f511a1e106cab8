//! `Accept`.

use http::HeaderMap;

use crate::encode::Format;
use crate::error::Error;

/// The format that the caller likes best; JSON where it does not say.
///
/// # Errors
/// 406 where it accepts none of ours.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, Error> {
    let offers = Format::ALL.map(|format| (format, format.media_type()));
    kit::negotiate::accepted(headers, &offers).ok_or_else(|| {
        let ours = offers.map(|(_, media_type)| media_type);
        Error::NotAcceptable(format!("answers come as {}", ours.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn the_best_liked_format_wins() {
        for (accept, format) in [
            (None, Some(Format::Json)),
            (Some("text/*"), Some(Format::Csv)),
            (Some("*/*, application/json;q=0"), Some(Format::Ndjson)),
            (Some("application/vnd.apache.arrow.stream"), Some(Format::Arrow)),
            (Some("APPLICATION/VND.APACHE.PARQUET"), Some(Format::Parquet)),
            (Some("text/html"), None),
        ] {
            let mut headers = HeaderMap::new();
            accept.map(|text| headers.insert(ACCEPT, HeaderValue::from_static(text)));
            assert_eq!(super::format(&headers).ok(), format, "{accept:?}");
        }
    }
}
