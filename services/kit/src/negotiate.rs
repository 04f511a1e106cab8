//! `Accept`: which of the formats that a route can answer in its caller likes best (RFC 9110, 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// The best liked of what is on offer, each with its media type in lower case: the first one where the
/// caller does not say, and the first of those that it likes equally. `None` where it accepts none.
pub fn accepted<T: Copy>(headers: &HeaderMap, offers: &[(T, &str)]) -> Option<T> {
    if !headers.contains_key(ACCEPT) {
        return offers.first().map(|(offer, _)| *offer);
    }
    let texts = headers.get_all(ACCEPT).iter().map(|value| value.to_str().unwrap_or_default());
    let ranges: Vec<&str> = texts.flat_map(|text| text.split(',')).collect();
    let weighed = offers.iter().map(|(offer, media_type)| (weight(&ranges, media_type), *offer));
    // Of equals the last one is taken, which is the first on offer.
    weighed.filter(|(weight, _)| *weight > 0).rev().max_by_key(|(weight, _)| *weight).map(|(_, offer)| offer)
}

/// In thousandths, 0 where it is not accepted: the most specific range decides.
fn weight(ranges: &[&str], media_type: &str) -> u16 {
    let matching = ranges.iter().filter_map(|range| matched(range, media_type));
    matching.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, weight)| weight)
}

/// How specifically a range matches, and its weight.
fn matched(range: &str, media_type: &str) -> Option<(u8, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let pattern = parts.next()?.to_ascii_lowercase();
    let specificity = match pattern.split_once('/')? {
        ("*", "*") => 1,
        (kind, "*") if media_type.split('/').next() == Some(kind) => 2,
        _ if pattern == media_type => 3,
        _ => return None,
    };
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality: f32 = quality.map_or(Some(1.0), |text| text.parse().ok())?;
    Some((specificity, (quality.clamp(0.0, 1.0) * 1_000.0) as u16))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_best_liked_format_wins() {
        let offers = [('j', "application/json"), ('a', "application/x-arrow"), ('c', "text/csv")];
        for (accept, format) in [
            (&[][..], Some('j')),
            (&["*/*"], Some('j')),
            (&["application/*"], Some('j')),
            (&["text/*"], Some('c')),
            (&["text/html, */*;q=0.1"], Some('j')),
            (&["APPLICATION/X-Arrow"], Some('a')),
            (&["application/json;q=0.5, text/csv"], Some('c')),
            (&["application/json; Q=0.5", "text/csv"], Some('c')),
            (&["text/csv;q=0.5, */*;q=0.1"], Some('c')),
            (&["*/*, application/json;q=0"], Some('a')),
            (&["application/json;q=0"], None),
            (&["text/html"], None),
            (&["nonsense"], None),
        ] {
            let mut headers = HeaderMap::new();
            for text in accept {
                headers.append(ACCEPT, HeaderValue::from_static(text));
            }
            assert_eq!(accepted(&headers, &offers), format, "{accept:?}");
        }
    }
}
