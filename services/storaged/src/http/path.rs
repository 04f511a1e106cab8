//! The key in a path.

use axum::extract::FromRequestParts;
use http::request::Parts;
use kit::Problem;

const ROUTE: &str = "/v1/storage/";

/// The key as it was sent, percent-decoded exactly once. `%2F` is a `/` like any other, as in S3.
///
/// Taken from the raw path: a router's own parameter is decoded with less care, and what was
/// decoded twice is another object.
pub(crate) struct RawKey(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for RawKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let raw = parts.uri.path().strip_prefix(ROUTE).unwrap_or_default();
        match decoded(raw) {
            Some(key) => Ok(RawKey(key)),
            None => Err(Problem::invalid("the key's percent-encoding is not that of UTF-8")),
        }
    }
}

fn decoded(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decoding_is_strict_and_done_once() {
        assert_eq!(decoded("a%2Fb%20c+d").unwrap(), "a/b c+d");
        assert_eq!(decoded("100%2525").unwrap(), "100%25");
        assert_eq!(decoded("%C3%BC").unwrap(), "ü");
        for wrong in ["%", "%2", "%zz", "%ff", "%+1"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(key in ".{0,30}") {
            let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decoded(&encoded), Some(key));
        }
    }
}
