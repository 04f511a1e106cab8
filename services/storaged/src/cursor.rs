//! Cursors: opaque to callers, and refused where they are not ours.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Error;

/// The cursor of what the backend needs to go on, marked with the kind of backend: one of another
/// kind's would make no sense.
pub(crate) fn encode(backend: char, place: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{backend}{place}"))
}

pub(crate) fn decode(backend: char, cursor: &str) -> Result<String, Error> {
    let place = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    place
        .and_then(|text| text.strip_prefix(backend).map(str::to_owned))
        .ok_or_else(|| Error::InvalidArgument { reason: "cursor is none that a page before this one gave".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_and_a_foreign_one_is_refused() {
        assert_eq!(decode('l', &encode('l', "a/ü")).unwrap(), "a/ü");
        for foreign in [encode('s', "a"), String::new(), "*".into(), "bA==".into()] {
            assert!(decode('l', &foreign).is_err(), "{foreign}");
        }
    }
}
