//! `lakehouse sql`

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// Rows of a table, which has to be in memory to be aligned.
const TABLE_ROWS_DEFAULT: u64 = 1_000;

#[derive(Args)]
pub(crate) struct SqlArguments {
    /// One statement, or - to read it from standard input.
    statement: String,
    /// How the result is written [default: table in a terminal, else csv].
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Where to; a file appears only when the result is whole [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A value for ? or, with a name, for $NAME; may be given again. Numbers, true, false, null
    /// and "quoted text" are read as JSON, everything else is text.
    #[arg(long = "param", short, value_name = "[NAME=]VALUE")]
    params: Vec<String>,
    /// Rows at most [default: 1000 for a table, else all].
    #[arg(long, value_name = "N")]
    max_rows: Option<u64>,
    /// How long it may take, as 30s or 5m [default: the server's].
    #[arg(long, value_name = "TIME", value_parser = humantime)]
    timeout: Option<Duration>,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned, for a person.
    Table,
    /// With a header.
    Csv,
    /// One document: columns, rows, row_count.
    Json,
    /// One object a line.
    Ndjson,
    /// Arrow IPC stream.
    Arrow,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Format::Table | Format::Json => "application/json",
            Format::Csv => "text/csv",
            Format::Ndjson => "application/x-ndjson",
            Format::Arrow => "application/vnd.apache.arrow.stream",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }
}

pub(crate) fn humantime(text: &str) -> Result<Duration, String> {
    humantime_serde::re::humantime::parse_duration(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(client: &Client, arguments: SqlArguments) -> Result<(), Failure> {
    let mut output = Output::open(arguments.output)?;
    let terminal = output.is_terminal();
    let format = arguments.format.unwrap_or(if terminal { Format::Table } else { Format::Csv });
    if terminal && matches!(format, Format::Arrow | Format::Parquet) {
        return Err(Failure::Usage("a binary result needs --output FILE or a pipe".into()));
    }
    let mut body = Map::from_iter([("sql".to_owned(), statement(arguments.statement)?.into())]);
    if let Some(params) = params(&arguments.params)? {
        body.insert("params".into(), params);
    }
    if let Some(timeout) = arguments.timeout {
        body.insert("timeout_ms".into(), u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).into());
    }
    // One more than is shown tells whether there are more.
    let table_rows = arguments.max_rows.unwrap_or(TABLE_ROWS_DEFAULT);
    let max_rows = if format == Format::Table { Some(table_rows.saturating_add(1)) } else { arguments.max_rows };
    if let Some(max_rows) = max_rows {
        body.insert("max_rows".into(), max_rows.into());
    }
    let request =
        client.request(Method::POST, &["v1", "sql"]).header(ACCEPT, format.media_type()).json(&Value::Object(body));
    match format {
        Format::Table => {
            let width = terminal.then(|| usize::from(console::Term::stdout().size().1));
            let text = table(client.json(request).await?, table_rows, width);
            output.write_all(text.as_bytes())?;
        }
        Format::Csv => {
            let mut lines = UnixLines::default();
            client.stream(request, |chunk| output.write_all(&lines.of(chunk))).await?;
        }
        _ => client.stream(request, |chunk| output.write_all(chunk)).await?,
    }
    output.finish()
}

/// CSV comes over HTTP as RFC 4180 has it, with CRLF; what reads a pipe here wants LF. Line ends
/// within quotes are values and stay.
#[derive(Default)]
struct UnixLines {
    quoted: bool,
}

impl UnixLines {
    fn of(&mut self, chunk: &[u8]) -> Vec<u8> {
        let keep = |byte: &&u8| {
            self.quoted ^= **byte == b'"';
            self.quoted || **byte != b'\r'
        };
        chunk.iter().filter(keep).copied().collect()
    }
}

fn table(mut result: Table, rows_max: u64, width: Option<usize>) -> String {
    let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
    let more = result.rows.len() > rows_max;
    result.rows.truncate(rows_max);
    let count = match (result.rows.len(), more) {
        (n, true) => format!("first {n} rows; --max-rows shows more"),
        (1, false) => "1 row".to_owned(),
        (n, false) => format!("{n} rows"),
    };
    format!("{}({count})\n", result.render(width))
}

fn statement(argument: String) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| Failure::local("reading standard input", error))?;
    Ok(text)
}

/// A JSON array where no parameter is named, an object where all are.
fn params(given: &[String]) -> Result<Option<Value>, Failure> {
    if given.is_empty() {
        return Ok(None);
    }
    let named: Vec<Option<(&str, &str)>> =
        given.iter().map(|text| text.split_once('=').filter(|(name, _)| is_name(name))).collect();
    if named.iter().all(Option::is_none) {
        return Ok(Some(given.iter().map(|text| value(text)).collect()));
    }
    let mut object = Map::new();
    for (named, text) in named.into_iter().zip(given) {
        let (name, text) = named.ok_or_else(|| {
            Failure::Usage(format!("--param {text:?} has no name and others have (for text with = write '\"a=b\"')"))
        })?;
        if object.insert(name.to_owned(), value(text)).is_some() {
            return Err(Failure::Usage(format!("--param {name} is given twice")));
        }
    }
    Ok(Some(Value::Object(object)))
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &[&str]) -> Option<Value> {
        params(&given.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()).ok()?
    }

    #[test]
    fn parameters_are_json_where_they_can_be() {
        assert_eq!(parsed(&[]), None);
        assert_eq!(parsed(&["25", "IL", "true", "null", "\"60601\""]), Some(json!([25, "IL", true, null, "60601"])));
        assert_eq!(parsed(&["state=IL", "pay=2.5"]), Some(json!({ "state": "IL", "pay": 2.5 })));
        assert_eq!(parsed(&["\"a=b\""]), Some(json!(["a=b"])));
    }

    #[test]
    fn names_are_all_or_none_and_once() {
        assert_eq!(parsed(&["state=IL", "7"]), None);
        assert_eq!(parsed(&["state=IL", "state=TX"]), None);
    }

    #[test]
    fn only_the_ends_of_records_change() {
        let csv = b"a,b\r\n\"x\r\n\"\"y\"\"\r\n\",1\r\n";
        for cut in 0..csv.len() {
            let mut lines = UnixLines::default();
            let text = [lines.of(&csv[..cut]), lines.of(&csv[cut..])].concat();
            assert_eq!(text, b"a,b\n\"x\r\n\"\"y\"\"\r\n\",1\n");
        }
    }

    #[test]
    fn a_table_that_was_cut_says_so() {
        let result = || Table { columns: Vec::new(), rows: vec![Vec::new(); 3] };
        assert!(table(result(), 2, None).ends_with("(first 2 rows; --max-rows shows more)\n"));
        assert!(table(result(), 3, None).ends_with("(3 rows)\n"));
    }
}
