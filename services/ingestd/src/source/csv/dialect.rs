//! How a CSV file is written.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use super::{Opening, Reject, Result, Sample, Session, quotes, text};
use crate::error::Error;
use crate::request::CsvOptions;

/// What separates values in the files that one meets.
const DELIMITERS: [char; 4] = [',', '\t', ';', '|'];
/// What DuckDB itself reads at a time.
const BUFFER_BYTES: u64 = 32_000_000;
const NOTHING: &str = "(empty)";

/// What the sniffer found, with what the caller said put over it.
pub(super) struct Dialect {
    delimiter: String,
    quote: String,
    escape: String,
    header: bool,
    date_format: Option<String>,
    timestamp_format: Option<String>,
    /// (name, type), as the sniffer calls them.
    columns: Vec<(String, String)>,
    options: CsvOptions,
}

impl Dialect {
    pub(super) fn find(session: &Session, opening: &Opening<'_>) -> Result<Self> {
        let options = &opening.request.csv;
        let found = Self::sniff(session, opening, options.delimiter.as_deref())?;
        if options.delimiter.is_some() || found.columns.len() > 1 {
            return Ok(found);
        }
        // One column is also what the sniffer falls back to; the first line may know better.
        match first_line_delimiter(session, opening).map_err(Error::spool)? {
            Some(delimiter) if delimiter.to_string() != found.delimiter || found.columns.len() == 1 => {
                Self::sniff(session, opening, Some(&delimiter.to_string()))
            }
            _ => Ok(found),
        }
    }

    fn sniff(session: &Session, opening: &Opening<'_>, delimiter: Option<&str>) -> Result<Self> {
        let options = &opening.request.csv;
        let mut arguments = vec![session.file(), "ignore_errors=true".into(), "null_padding=false".into()];
        let sample_rows = match opening.sample {
            Sample::First => 20_480,
            Sample::Whole => -1,
        };
        arguments.push(format!("sample_size={sample_rows}"));
        arguments.extend(delimiter.map(|delimiter| format!("delim={}", text(delimiter))));
        arguments.extend(options.escape.as_ref().map(|escape| format!("escape={}", text(escape))));
        arguments.extend(options.header.map(|header| format!("header={header}")));
        arguments.push(format!("quote={}", text(options.quote.as_deref().unwrap_or("\""))));
        arguments.extend(common(opening));
        arguments.extend(options.date_format.as_ref().map(|format| format!("dateformat={}", text(format))));
        arguments.extend(options.timestamp_format.as_ref().map(|format| format!("timestampformat={}", text(format))));
        let sql = format!(
            "SELECT Delimiter, Escape, HasHeader::VARCHAR, DateFormat, TimestampFormat, c.name, c.type FROM \
             (SELECT *, unnest(Columns) AS c FROM sniff_csv({}))",
            arguments.join(", ")
        );
        let rows = session.text_rows(&sql).map_err(|error| unknown(session, options, error))?;
        Self::from_rows(rows, options).ok_or_else(|| Error::invalid("csv: there is nothing to read in the file"))
    }

    fn from_rows(rows: Vec<Vec<Option<String>>>, options: &CsvOptions) -> Option<Self> {
        let quote = options.quote.clone().unwrap_or_else(|| "\"".into());
        let said = |text: &Option<String>| text.clone().filter(|text| text != NOTHING && !text.is_empty());
        let mut first = rows.first()?.iter();
        let mut next = || said(first.next().unwrap_or(&None));
        let (delimiter, escape, header) = (next(), next(), next());
        let (date_format, timestamp_format) = (next(), next());
        let column = |row: &Vec<Option<String>>| Some((row.get(5)?.clone().unwrap_or_default(), row.get(6)?.clone()?));
        Some(Dialect {
            delimiter: options.delimiter.clone().or(delimiter).unwrap_or_else(|| ",".into()),
            escape: options.escape.clone().or(escape).unwrap_or_else(|| quote.clone()),
            quote,
            header: options.header.unwrap_or(header.as_deref() == Some("true")),
            date_format: options.date_format.clone().or(date_format),
            timestamp_format: options.timestamp_format.clone().or(timestamp_format),
            columns: rows.iter().map(column).collect::<Option<_>>()?,
            options: options.clone(),
        })
    }

    pub(super) fn types(&self) -> impl Iterator<Item = String> {
        self.columns.iter().map(|(_, found)| found.clone())
    }

    /// The names of the columns: as the file's first row has them (the sniffer would rename what
    /// is empty or there twice); without a header those of the dataset, or the sniffer's. A first
    /// row of the dataset's own names is a header, whatever the sniffer says.
    pub(super) fn names(&mut self, session: &Session, opening: &Opening<'_>) -> Result<Vec<String>> {
        let existing: Option<Vec<&str>> = opening.existing.map(|columns| columns.iter().map(|(n, _)| &**n).collect());
        if self.header || existing.is_some() {
            let row = self.first_row(session, opening)?.unwrap_or_default();
            let names: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
            if self.options.header.is_none() && existing.as_ref().is_some_and(|existing| same(existing, &names)) {
                self.header = true;
            }
            if self.header && self.is_header(&names) {
                return Ok(names);
            }
        }
        match existing {
            Some(names) if !self.header && names.len() == self.columns.len() => {
                Ok(names.into_iter().map(str::to_owned).collect())
            }
            _ => Ok(self.columns.iter().map(|(name, _)| name.clone()).collect()),
        }
    }

    /// Whether a row is where the sniffer has its names from, which renames what is empty or there
    /// twice. A header that is malformed itself is not among the rows.
    fn is_header(&self, row: &[String]) -> bool {
        let found = self.columns.iter().map(|(name, _)| name);
        row.len() == self.columns.len() && row.iter().zip(found).all(|(here, found)| found.starts_with(here.as_str()))
    }

    fn first_row(&self, session: &Session, opening: &Opening<'_>) -> Result<Option<Vec<Option<String>>>> {
        let columns: Vec<_> = (0..self.columns.len()).map(|at| (format!("c{at}"), "VARCHAR".to_owned())).collect();
        let mut arguments = self.arguments(session, opening, &columns);
        // A malformed row further down is not to be told from here.
        arguments.extend(["header=false".into(), "ignore_errors=true".into()]);
        let sql = format!("SELECT * FROM read_csv({}) LIMIT 1", arguments.join(", "));
        match session.text_rows(&sql) {
            Ok(rows) => Ok(rows.into_iter().next()),
            Err(error) => Err(session.refused("csv", error)),
        }
    }

    /// `read_csv(…`, to be closed behind further arguments.
    pub(super) fn reader(&self, session: &Session, opening: &Opening<'_>, columns: &[(String, String)]) -> String {
        let mut arguments = self.arguments(session, opening, columns);
        arguments.push(format!("header={}", self.header));
        arguments.extend(self.date_format.as_ref().map(|format| format!("dateformat={}", text(format))));
        arguments.extend(self.timestamp_format.as_ref().map(|format| format!("timestampformat={}", text(format))));
        format!("read_csv({}", arguments.join(", "))
    }

    fn arguments(&self, session: &Session, opening: &Opening<'_>, columns: &[(String, String)]) -> Vec<String> {
        let columns: Vec<_> = columns.iter().map(|(name, kind)| format!("{}: {}", text(name), text(kind))).collect();
        let mut arguments = vec![
            session.file(),
            "auto_detect=false".into(),
            "null_padding=false".into(),
            format!("delim={}", text(&self.delimiter)),
            format!("quote={}", text(&self.quote)),
            format!("escape={}", text(&self.escape)),
            format!("columns={{{}}}", columns.join(", ")),
        ];
        arguments.extend(common(opening));
        arguments
    }
}

/// Why no dialect was found, in words that help to find it.
fn unknown(session: &Session, options: &CsvOptions, error: duck::Error) -> Error {
    if !error.message.contains("Error when sniffing") {
        return session.refused("csv", error);
    }
    let quote = options.quote.as_deref().unwrap_or("\"").bytes().next();
    let delimiters = match &options.delimiter {
        Some(delimiter) => delimiter.bytes().collect(),
        None => DELIMITERS.map(|delimiter| delimiter as u8).to_vec(),
    };
    let line = quote.map_or(Ok(None), |quote| quotes::unclosed(session.path(), quote, &delimiters));
    match line {
        Ok(Some(line)) => Error::malformed(Reject::at_line(line, "the quote that opens a value here is never closed")),
        Ok(None) => Error::invalid(
            "csv: its rows fit no dialect; say how it is written with delimiter, quote, escape, header and skip",
        ),
        Err(error) => Error::spool(error),
    }
}

/// Whether both are the same names in any order.
fn same(existing: &[&str], names: &[String]) -> bool {
    let there: HashSet<&str> = existing.iter().copied().collect();
    existing.len() == names.len() && names.iter().all(|name| there.contains(name.as_str()))
}

/// What sniffing and reading have to agree on.
fn common(opening: &Opening<'_>) -> Vec<String> {
    let options = &opening.request.csv;
    let mut arguments = vec![
        "comment=''".into(),
        "compression='none'".into(),
        "strict_mode=true".into(),
        format!("max_line_size={}", opening.config.line_bytes_max),
        // Left alone, a buffer is 16 lines of that length.
        format!("buffer_size={}", BUFFER_BYTES.max(opening.config.line_bytes_max)),
        format!("skip={}", options.skip.unwrap_or(0)),
    ];
    arguments
        .extend(options.decimal_separator.as_ref().map(|separator| format!("decimal_separator={}", text(separator))));
    if let Some(nulls) = &options.null {
        let nulls: Vec<_> = nulls.iter().map(|null| text(null)).collect();
        arguments.push(format!("nullstr=[{}]", nulls.join(", ")));
    }
    arguments
}

/// The candidate that the first line to be read holds most often outside quotes.
fn first_line_delimiter(session: &Session, opening: &Opening<'_>) -> std::io::Result<Option<char>> {
    let mut reader = BufReader::new(File::open(session.path())?);
    let mut line = Vec::new();
    for _ in 0..=opening.request.csv.skip.unwrap_or(0) {
        line.clear();
        (&mut reader).take(opening.config.line_bytes_max).read_until(b'\n', &mut line)?;
    }
    Ok(most_frequent(&String::from_utf8_lossy(&line)))
}

fn most_frequent(line: &str) -> Option<char> {
    let mut counts = [0_u32; DELIMITERS.len()];
    let mut quoted = false;
    for c in line.chars() {
        quoted ^= c == '"';
        if let (false, Some(at)) = (quoted, DELIMITERS.iter().position(|&delimiter| delimiter == c)) {
            counts[at] += 1;
        }
    }
    // The first of equals: the commoner one.
    let best = (0..DELIMITERS.len()).rev().max_by_key(|&at| counts[at])?;
    (counts[best] > 0).then_some(DELIMITERS[best])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_knows_its_delimiter() {
        assert_eq!(most_frequent("a;b;c,d"), Some(';'));
        assert_eq!(most_frequent("a,b;c"), Some(','));
        assert_eq!(most_frequent("\"a,b,c\"\td"), Some('\t'));
        assert_eq!(most_frequent("name\n"), None);
    }
}
