//! A quote that nobody closes, in a file whose dialect was therefore not found.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// The next byte begins a value.
    Start,
    Value,
    /// Within quotes that were opened in the line.
    Quoted(u64),
    /// Behind a quote within quotes: their end, or the first half of a doubled one.
    Closing(u64),
}

/// The line in which a value's quote is opened that the file never closes. A value begins at a
/// line's start or behind one of `delimiters`; a quote within it is doubled (RFC 4180).
pub(super) fn unclosed(path: &Path, quote: u8, delimiters: &[u8]) -> io::Result<Option<u64>> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut at, mut line) = (At::Start, 1_u64);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let length = buffer.len();
        for &byte in buffer {
            at = match at {
                At::Start if byte == quote => At::Quoted(line),
                At::Quoted(opened) if byte == quote => At::Closing(opened),
                At::Quoted(opened) => At::Quoted(opened),
                At::Closing(opened) if byte == quote => At::Quoted(opened),
                _ if byte == b'\n' || byte == b'\r' || delimiters.contains(&byte) => At::Start,
                _ => At::Value,
            };
            line += u64::from(byte == b'\n');
        }
        reader.consume(length);
    }
    Ok(match at {
        At::Quoted(opened) => Some(opened),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_quote_that_stays_open_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            unclosed(file.path(), b'"', b",;").unwrap()
        };
        assert_eq!(line("a,b\n1,\"x\n2,z\n"), Some(2));
        assert_eq!(line("a,b\n1,\"x\ny\"\n2,\"z\"\"\n"), Some(4), "the lines within quotes count");
        assert_eq!(line("a,b\n1,\"x\"\"y\"\n"), None);
        assert_eq!(line("a,b\n1,6\" pipe\n"), None, "no value begins with it");
    }
}
