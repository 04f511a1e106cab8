//! The rows that DuckDB could not read: where they are, and why.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::{Reject, Result, Session};
use crate::error::Error;

/// After a failure: enough to find the first, in a file of which every row may be malformed.
const EXPLAINED_MAX: u64 = 10_000;

/// The end of the arguments of a read.
pub(super) fn clause(rejects_max: Option<u64>) -> String {
    match rejects_max {
        // One more, to know that there were more.
        Some(max) => format!(", store_rejects=true, rejects_limit={}", max.saturating_add(1).min(i64::MAX as u64)),
        None => String::new(),
    }
}

/// How many rows were skipped by the read before.
pub(super) fn count(session: &Session) -> Result<u64> {
    let rows = session.text_rows("SELECT count(DISTINCT line_byte_position)::VARCHAR FROM reject_errors");
    let count = rows.map_err(Error::engine)?.into_iter().flatten().flatten().next();
    count.and_then(|count| count.parse().ok()).ok_or(Error::Internal("DuckDB counted no rejects"))
}

/// The first of them, one for each row, in the order of the file.
pub(super) fn first(session: &Session, limit: usize) -> Result<Vec<Reject>> {
    let sql = format!(
        "SELECT line_byte_position::VARCHAR, error_type::VARCHAR, column_name, csv_line, error_message FROM reject_errors \
         QUALIFY row_number() OVER (PARTITION BY line_byte_position ORDER BY column_idx) = 1 \
         ORDER BY line_byte_position LIMIT {limit}"
    );
    let rows = session.text_rows(&sql).map_err(Error::engine)?;
    let position = |row: &Vec<Option<String>>| row.first()?.as_ref()?.parse::<u64>().ok();
    let positions: Vec<u64> = rows.iter().map(|row| position(row).unwrap_or(1)).collect();
    let lines = line_numbers(session.path(), &positions).map_err(Error::spool)?;
    Ok(rows.into_iter().zip(lines).map(|(row, line)| reject(row, line)).collect())
}

/// A row of `reject_errors` in our words.
fn reject(row: Vec<Option<String>>, line: u64) -> Reject {
    let mut cells = row.into_iter().skip(1);
    let mut next = || cells.next().flatten().unwrap_or_default();
    let (kind, column, text, message) = (next(), next(), next(), next());
    let text = text.trim_matches(['\r', '\n']);
    let reject = match kind.as_str() {
        "CAST" => {
            let (value, wanted) = cast(&message).unwrap_or((text, "the column's type"));
            return Reject::at_line(line, format!("the value is no {wanted}")).column(column).value(value);
        }
        "MISSING COLUMNS" => return Reject::at_line(line, counted(&message, "few")).column(column).value(text),
        "TOO MANY COLUMNS" => Reject::at_line(line, counted(&message, "many")),
        "UNQUOTED VALUE" => Reject::at_line(line, "a quote is not closed, or text follows behind its end"),
        "LINE SIZE OVER MAXIMUM" => Reject::at_line(line, "the line is too long (line_bytes_max)"),
        "INVALID ENCODING" => Reject::at_line(line, "the text is not UTF-8"),
        _ => Reject::at_line(line, message),
    };
    let reject = if column.is_empty() { reject } else { reject.column(column) };
    reject.value(text)
}

/// `… Could not convert string "x" to 'BIGINT'` → (`x`, `BIGINT`)
fn cast(message: &str) -> Option<(&str, &str)> {
    let (_, rest) = message.split_once("Could not convert string \"")?;
    let (value, wanted) = rest.rsplit_once("\" to '")?;
    Some((value, wanted.trim_end().trim_end_matches('\'')))
}

/// `Expected Number of Columns: 3 Found: 2` → `too few values: 2 instead of 3`
fn counted(message: &str, which: &str) -> String {
    let numbers: Vec<&str> = message.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    match numbers.as_slice() {
        [expected, found, ..] => format!("too {which} values: {found} instead of {expected}"),
        _ => format!("too {which} values"),
    }
}

/// What to tell of a read that failed: the file is read again, past its errors, for the first.
pub(super) fn explain(session: &Session, reader: &str, error: duck::Error) -> Error {
    if matches!(error.kind, duck::ErrorKind::Interrupt | duck::ErrorKind::OutOfMemory) {
        return session.refused("csv", error);
    }
    let again = || -> Result<Option<Reject>> {
        let sql = format!("SELECT * FROM {reader}, store_rejects=true, rejects_limit={EXPLAINED_MAX})");
        for batch in session.stream(&sql).map_err(Error::engine)? {
            batch.map_err(Error::engine)?;
        }
        Ok(first(session, 1)?.into_iter().next())
    };
    match again() {
        Ok(Some(reject)) => Error::malformed(reject),
        Err(gone @ Error::ClientGone) => gone,
        Ok(None) | Err(_) => plain(session, error),
    }
}

fn plain(session: &Session, error: duck::Error) -> Error {
    if error.message.contains("state machine reached an invalid state") {
        return Error::invalid("csv: line ends are mixed (LF and CRLF), or quotes do not pair up");
    }
    session.refused("csv", error)
}

/// The line of each position (1: the first byte of the file), which rise. DuckDB counts rows,
/// which may span lines; an editor counts lines.
fn line_numbers(path: &Path, positions: &[u64]) -> std::io::Result<Vec<u64>> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut at, mut line, mut before) = (0_u64, 1_u64, 0_u8);
    let mut lines = Vec::with_capacity(positions.len());
    let mut wanted = positions.iter().map(|position| position.saturating_sub(1)).peekable();
    while let Some(&position) = wanted.peek() {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let length = buffer.len().min(usize::try_from(position - at).unwrap_or(usize::MAX));
        if length == 0 {
            // A lone CR ends a line too, and with CRLF DuckDB may point at the LF before the row.
            lines.push(line + u64::from(before == b'\r'));
            wanted.next();
            continue;
        }
        for &byte in &buffer[..length] {
            line += u64::from(byte == b'\n' || before == b'\r');
            before = byte;
        }
        reader.consume(length);
        at += length as u64;
    }
    lines.resize(positions.len(), line);
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_an_editor() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = |text: &str, positions: &[u64]| {
            std::fs::write(file.path(), text).unwrap();
            line_numbers(file.path(), positions).unwrap()
        };
        assert_eq!(lines("id\n\"a\nb\"\nx\n", &[1, 4, 10]), [1, 2, 4]);
        assert_eq!(lines("a\r\n1\r\n2\r\n", &[3, 4, 6]), [2, 2, 3]);
        assert_eq!(lines("a\n", &[99]), [2]);
    }

    #[test]
    fn duckdbs_words_become_a_value_and_a_type() {
        let message = "Error when converting column \"id\". Could not convert string \"a\" to 'b\" to 'BIGINT'";
        assert_eq!(cast(message), Some(("a\" to 'b", "BIGINT")));
        assert_eq!(counted("Expected Number of Columns: 3 Found: 2", "few"), "too few values: 2 instead of 3");
    }
}
