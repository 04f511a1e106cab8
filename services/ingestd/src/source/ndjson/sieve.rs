//! Which lines of an NDJSON file are not to be read, and why.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use duck::{quote_identifier, quote_literal};
use serde::de::IgnoredAny;

use super::{Error, Rejects, Result, Session};
use crate::config::Config;
use crate::reject::Reject;

/// Finds the first line that is no JSON object.
pub(super) fn first_malformed(session: &Session, line_bytes_max: u64) -> Result<Option<Reject>> {
    let mut lines = Lines::open(session, line_bytes_max)?;
    while let Some(line) = lines.next()? {
        if let Some(reason) = line.fault() {
            return Ok(Some(rejected(&line, reason)));
        }
    }
    Ok(None)
}

/// Blanks every line that is no JSON object.
pub(super) fn malformed(session: &Session, config: &Config, rejects: &mut Rejects) -> Result<()> {
    let blanks = Blanks::open(session, config)?;
    let mut lines = Lines::open(session, config.line_bytes_max)?;
    while let Some(line) = lines.next()? {
        if let Some(reason) = line.fault() {
            blanks.blank(&line, rejects, rejected(&line, reason))?;
        }
    }
    Ok(())
}

/// Finds the first value that does not fit its column.
pub(super) fn first_misfit(
    session: &Session,
    columns: &[(String, String)],
    line_bytes_max: u64,
) -> Result<Option<Reject>> {
    let mut first = None;
    each_misfit(session, columns, line_bytes_max, |_, reject| {
        first = Some(reject);
        Ok(false)
    })?;
    Ok(first)
}

/// Blanks every line with a value that does not fit its column. Values inside lists, structs and
/// maps are not looked at here: such a misfit fails the read.
pub(super) fn misfits(
    session: &Session,
    config: &Config,
    columns: &[(String, String)],
    rejects: &mut Rejects,
) -> Result<()> {
    let blanks = Blanks::open(session, config)?;
    let mut found = Rejects::default();
    each_misfit(session, columns, config.line_bytes_max, |line, reject| {
        blanks.blank(line, &mut found, reject).map(|()| true)
    })?;
    rejects.count += found.count;
    rejects.shown.extend(found.shown);
    rejects.shown.sort_by_key(|reject| reject.line);
    rejects.shown.truncate(crate::reject::REJECTS_SHOWN);
    Ok(())
}

/// Calls `of` for each line with a misfit, until it answers `false`. DuckDB gives the number of
/// the first misfit among the columns, line by line in the order of the file, blank lines left out.
fn each_misfit(
    session: &Session,
    columns: &[(String, String)],
    line_bytes_max: u64,
    mut of: impl FnMut(&Line, Reject) -> Result<bool>,
) -> Result<()> {
    let Some(sql) = query(session, columns, line_bytes_max) else { return Ok(()) };
    let mut lines = Lines::open(session, line_bytes_max)?;
    for batch in session.stream(&sql).map_err(Error::engine)? {
        let batch = batch.map_err(Error::engine)?;
        for misfit in batch.column(0).as_primitive::<Int32Type>() {
            let Some(line) = lines.next()? else { return Ok(()) };
            let Some((name, kind)) = misfit.and_then(|at| columns.get(usize::try_from(at).ok()?)) else { continue };
            let value = member(&line.text, name);
            let reject = Reject::at_line(line.number, format!("the value is no {kind}")).column(name).value(&value);
            if !of(&line, reject)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// `CASE WHEN … THEN 0 WHEN … THEN 1 … END` over the columns of scalar type; `None` without any.
fn query(session: &Session, columns: &[(String, String)], line_bytes_max: u64) -> Option<String> {
    let scalar = |kind: &str| !kind.contains(['(', '[']) || kind.to_ascii_uppercase().starts_with("DECIMAL");
    let test = |(at, (name, kind)): (usize, &(String, String))| {
        if !scalar(kind) || kind == "JSON" || kind == "VARCHAR" {
            return None;
        }
        let member = format!("json_extract(json, {})", quote_literal(&path(name)));
        let structure = quote_literal(&quote_identifier(kind));
        Some(format!(
            "WHEN json_type({member}) <> 'NULL' AND TRY(from_json_strict({member}, {structure})) IS NULL THEN {at}"
        ))
    };
    let tests: Vec<String> = columns.iter().enumerate().filter_map(test).collect();
    if tests.is_empty() {
        return None;
    }
    Some(format!(
        "SELECT (CASE {} END)::INTEGER FROM read_json_objects({}, format='newline_delimited', \
         compression='uncompressed', maximum_object_size={line_bytes_max}, ignore_errors=true)",
        tests.join(" "),
        session.file()
    ))
}

/// A member as a JSON pointer.
fn path(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn member(text: &[u8], name: &str) -> String {
    let object: HashMap<String, serde_json::Value> = serde_json::from_slice(text).unwrap_or_default();
    object.get(name).map(ToString::to_string).unwrap_or_default()
}

fn fault(text: &[u8]) -> Option<String> {
    if std::str::from_utf8(text).is_err() {
        return Some("the text is not UTF-8".into());
    }
    match serde_json::from_slice::<HashMap<String, IgnoredAny>>(text) {
        Ok(_) => None,
        Err(error) if error.is_data() => Some("the line is no JSON object".into()),
        Err(error) => Some(format!("the line is no JSON: {error}")),
    }
}

fn rejected(line: &Line, reason: String) -> Reject {
    Reject::at_line(line.number, reason).value(String::from_utf8_lossy(&line.text).trim_end())
}

struct Line {
    number: u64,
    offset: u64,
    bytes: u64,
    /// With what is around it but for its end; cut off where the line is too long.
    text: Vec<u8>,
    too_long: bool,
}

impl Line {
    fn fault(&self) -> Option<String> {
        if self.too_long { Some("the line is too long (line_bytes_max)".into()) } else { fault(&self.text) }
    }
}

/// The lines of a file that are not blank.
struct Lines {
    reader: BufReader<File>,
    number: u64,
    offset: u64,
    line_bytes_max: u64,
}

impl Lines {
    fn open(session: &Session, line_bytes_max: u64) -> Result<Self> {
        let file = File::open(session.path()).map_err(Error::spool)?;
        Ok(Lines { reader: BufReader::with_capacity(1 << 20, file), number: 0, offset: 0, line_bytes_max })
    }

    fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let mut text = Vec::new();
            let limited = (&mut self.reader).take(self.line_bytes_max).read_until(b'\n', &mut text);
            let mut length = limited.map_err(Error::spool)? as u64;
            if length == 0 {
                return Ok(None);
            }
            let ended = text.pop_if(|last| *last == b'\n').is_some();
            let rest = if ended { 0 } else { self.skip_rest()? };
            length += rest;
            self.number += 1;
            let mut offset = self.offset;
            self.offset += length;
            if self.number == 1 && text.starts_with(b"\xef\xbb\xbf") {
                text.drain(..3);
                offset += 3;
            }
            if !text.iter().all(u8::is_ascii_whitespace) {
                let bytes = self.offset - offset - u64::from(ended);
                return Ok(Some(Line { number: self.number, offset, bytes, text, too_long: rest > 1 }));
            }
        }
    }

    /// Up to and with the end of the line.
    fn skip_rest(&mut self) -> Result<u64> {
        self.reader.skip_until(b'\n').map(|bytes| bytes as u64).map_err(Error::spool)
    }
}

/// Lines to be passed over.
struct Blanks {
    file: File,
    rejects_max: u64,
}

impl Blanks {
    fn open(session: &Session, config: &Config) -> Result<Self> {
        let file = OpenOptions::new().write(true).open(session.path()).map_err(Error::spool)?;
        Ok(Blanks { file, rejects_max: config.rejects_max })
    }

    fn blank(&self, line: &Line, rejects: &mut Rejects, reject: Reject) -> Result<()> {
        if rejects.count >= self.rejects_max {
            return Err(Error::invalid(format!("over {} rows are malformed (rejects_max)", self.rejects_max)));
        }
        rejects.push(reject);
        let spaces = [b' '; 4_096];
        let (mut at, end) = (line.offset, line.offset + line.bytes);
        while at < end {
            let length = (end - at).min(spaces.len() as u64);
            self.file.write_all_at(&spaces[..length as usize], at).map_err(Error::spool)?;
            at += length;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_pass() {
        assert_eq!(fault(br#" {"a": [1, {"b": null}]} "#), None);
        assert!(fault(b"5").unwrap().contains("object"));
        assert!(fault(b"{\"a\":").unwrap().contains("no JSON"));
        assert!(fault(b"{\"a\":\"\xe9\"}").unwrap().contains("UTF-8"));
    }

    #[test]
    fn a_name_is_a_pointer_whatever_is_in_it() {
        assert_eq!(path("a/b~c"), "/a~1b~0c");
        assert_eq!(member(br#"{"a": "x", "b": {"c": 1}}"#, "b"), r#"{"c":1}"#);
    }
}
