//! Cursors of pages: opaque outside, the id to go on after inside.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Error;

/// The cursor that goes on after `id`.
pub(crate) fn cursor(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// The id that a cursor goes on after.
///
/// # Errors
/// Text that is no cursor of ours.
pub(crate) fn place(cursor: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|id| !id.is_empty());
    id.ok_or_else(|| Error::Invalid("cursor: not a next_cursor of this service".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_id() {
        for id in ["a", "w-042", "é/%20?&", "\0"] {
            assert_eq!(place(&cursor(id)).unwrap(), id);
        }
        for bad in ["", "=", "a b", "_w", "dy0wNDI="] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
