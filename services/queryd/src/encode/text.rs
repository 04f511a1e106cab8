//! Text inside JSON.

/// Bytes that cannot stand in a JSON string as they are.
const ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// A JSON string, quotes included.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if ESCAPED[usize::from(byte)] {
            out.extend_from_slice(&bytes[done..at]);
            write_escape(byte, out);
            done = at + 1;
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// JSON text as it is, on one line; text that is no JSON as a string.
pub(super) fn write_json(text: &str, out: &mut Vec<u8>) {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return write_string(text, out);
    }
    // A line break in JSON stands between tokens: inside strings it is escaped.
    out.extend(text.bytes().map(|byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_from_json(text in ".*") {
            let mut out = Vec::new();
            write_string(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let text: String = (0..0x80_u8).map(char::from).collect();
        let mut out = Vec::new();
        write_string(&text, &mut out);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        assert!(out.iter().all(|byte| *byte >= 0x20));
    }

    #[test]
    fn json_stays_on_one_line_and_text_that_is_none_is_a_string() {
        let mut out = Vec::new();
        write_json("{\n \"a\": 1}", &mut out);
        assert_eq!(out, b"{  \"a\": 1}");
        out.clear();
        write_json("{nope", &mut out);
        assert_eq!(out, b"\"{nope\"");
    }
}
