//! `lakehouse ingest`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reqwest::Method;
use reqwest::header::CONTENT_LENGTH;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::failure::Failure;
use crate::feed;
use crate::output::Output;
use crate::size;

const NAME_LENGTH_MAX: usize = 63;

#[derive(Args)]
pub(crate) struct IngestArguments {
    /// The file, or - for standard input. It may be compressed with gzip or zstd.
    file: PathBuf,
    /// The dataset [default: the file's name].
    #[arg(long, short)]
    name: Option<String>,
    /// What becomes of a dataset that is there already.
    #[arg(long, value_enum, default_value_t = Mode::Create)]
    mode: Mode,
    /// [default: by the file's name and first bytes].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What becomes of malformed rows.
    #[arg(long, value_enum)]
    on_error: Option<OnError>,
    /// Between the fields of a CSV file [default: found out].
    #[arg(long, value_name = "CHARS")]
    delimiter: Option<String>,
    /// Whether a CSV file begins with the names of its columns [default: found out].
    #[arg(long, value_name = "BOOL")]
    header: Option<bool>,
    /// What stands for NULL in a CSV file; may be given again.
    #[arg(long, value_name = "TEXT")]
    null: Vec<String>,
    /// The type of a column, in DuckDB's words; may be given again.
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    types: Vec<String>,
    /// Any other parameter of POST /v1/ingest, such as quote, skip or date_format.
    #[arg(long = "option", short = 'O', value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Print the server's answer as it is.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// An error where it exists.
    Create,
    /// Rows are added; the columns must be the same.
    Append,
    /// A new version holds these rows alone.
    Replace,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Ndjson,
    Json,
    Parquet,
    Arrow,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnError {
    /// Nothing is ingested.
    Fail,
    /// They are left out and counted.
    Skip,
}

/// What is told of the answer.
#[derive(Deserialize)]
struct Ingested {
    name: String,
    version: u64,
    rows: u64,
    bytes: u64,
    #[serde(default)]
    skipped: u64,
    #[serde(default)]
    errors: Vec<SkippedRow>,
}

#[derive(Deserialize)]
struct SkippedRow {
    line: Option<u64>,
    column: Option<String>,
    value: Option<String>,
    reason: String,
}

pub(crate) async fn run(client: &Client, arguments: IngestArguments) -> Result<(), Failure> {
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => name_of(&arguments.file)?,
    };
    let query = query(&arguments)?;
    let (body, length, progress) = feed::file(&arguments.file)?;
    let mut request = client.request(Method::POST, &["v1", "ingest", &name]).query(&query).body(body);
    if let Some(length) = length {
        // So that what is too long is refused before it is sent.
        request = request.header(CONTENT_LENGTH, length);
    }
    let answer = client.body(request).await;
    progress.finish_and_clear();
    let answer = answer?;
    let mut output = Output::open(None)?;
    if arguments.json {
        output.write_all(&answer)?;
        output.write_all(b"\n")?;
    } else {
        let told: Ingested = serde_json::from_slice(&answer).map_err(|e| Failure::Answered(e.to_string()))?;
        let Ingested { name, version, rows, bytes, skipped, errors } = told;
        report_skipped(skipped, &errors);
        output.write_all(format!("{name} version {version}: {rows} rows, {}\n", size::human(bytes)).as_bytes())?;
    }
    output.finish()
}

/// What `on_error=skip` left out.
#[allow(clippy::print_stderr, reason = "not a result")]
fn report_skipped(skipped: u64, first: &[SkippedRow]) {
    if skipped == 0 {
        return;
    }
    eprintln!("{skipped} malformed rows were left out:");
    for SkippedRow { line, column, value, reason } in first {
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let column = column.as_ref().map(|column| format!("column {column}: ")).unwrap_or_default();
        let value = value.as_ref().map(|value| format!(" ({value:?})")).unwrap_or_default();
        eprintln!("  {line}{column}{reason}{value}");
    }
}

/// The parameters of the request.
fn query(arguments: &IngestArguments) -> Result<Vec<(String, String)>, Failure> {
    let word = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
        value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let mut query = vec![("mode".to_owned(), word(&|| arguments.mode.to_possible_value()))];
    if let Some(format) = arguments.format.or_else(|| format_of(&arguments.file)) {
        query.push(("format".into(), word(&|| format.to_possible_value())));
    }
    if let Some(on_error) = arguments.on_error {
        query.push(("on_error".into(), word(&|| on_error.to_possible_value())));
    }
    query.extend(arguments.delimiter.iter().map(|text| ("delimiter".into(), text.clone())));
    query.extend(arguments.header.iter().map(|header| ("header".into(), header.to_string())));
    if !arguments.null.is_empty() {
        query.push(("null".into(), serde_json::json!(arguments.null).to_string()));
    }
    let types = arguments.types.iter().map(|text| pair(text, "--type", "COLUMN=TYPE"));
    let types: Map<String, Value> =
        types.map(|pair| pair.map(|(column, kind)| (column.to_owned(), kind.into()))).collect::<Result<_, _>>()?;
    if !types.is_empty() {
        query.push(("types".into(), Value::Object(types).to_string()));
    }
    for text in &arguments.options {
        let (key, value) = pair(text, "--option", "KEY=VALUE")?;
        query.push((key.to_owned(), value.to_owned()));
    }
    Ok(query)
}

fn pair<'a>(text: &'a str, flag: &str, form: &str) -> Result<(&'a str, &'a str), Failure> {
    text.split_once('=').ok_or_else(|| Failure::Usage(format!("{flag} takes {form}, not {text:?}")))
}

fn format_of(file: &Path) -> Option<Format> {
    let name = file.file_name()?.to_str()?.to_ascii_lowercase();
    let (_, extension) = uncompressed(&name).rsplit_once('.')?;
    match extension {
        "csv" | "tsv" | "tab" => Some(Format::Csv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        "json" => Some(Format::Json),
        "parquet" | "pq" => Some(Format::Parquet),
        "arrow" | "arrows" | "feather" | "ipc" => Some(Format::Arrow),
        _ => None,
    }
}

fn uncompressed(name: &str) -> &str {
    [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// `2024 Sales-Report.csv.gz` is `_2024_sales_report`.
fn name_of(file: &Path) -> Result<String, Failure> {
    let unnamed = || Failure::Usage("--name says which dataset this becomes".into());
    let file_name = file.file_name().and_then(|name| name.to_str()).filter(|&name| name != "-").ok_or_else(unnamed)?;
    let lower = file_name.to_lowercase();
    let whole = uncompressed(&lower);
    let stem = whole.split_once('.').map_or(whole, |(stem, _)| stem);
    let mut name = String::new();
    for c in stem.chars() {
        match c {
            'a'..='z' => name.push(c),
            '0'..='9' if name.is_empty() => name.extend(['_', c]),
            '0'..='9' => name.push(c),
            _ if name.ends_with('_') || name.is_empty() => {}
            _ => name.push('_'),
        }
    }
    name.truncate(NAME_LENGTH_MAX);
    let name = name.trim_end_matches('_');
    if name.is_empty() { Err(unnamed()) } else { Ok(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_names_its_dataset() {
        let name = |file: &str| name_of(Path::new(file)).ok();
        assert_eq!(name("/tmp/workers.csv").as_deref(), Some("workers"));
        assert_eq!(name("2024 Sales-Report.csv.gz").as_deref(), Some("_2024_sales_report"));
        assert_eq!(name("Bürger__liste.v2.parquet").as_deref(), Some("b_rger_liste"));
        assert_eq!(name("-"), None);
        assert_eq!(name("...").as_deref(), None);
    }

    proptest! {
        #[test]
        fn every_name_is_valid(file in "\\PC{1,90}") {
            if let Ok(name) = name_of(Path::new(&file)) {
                let valid = |c: char| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit();
                prop_assert!(name.len() <= 63 && name.chars().all(valid), "{name}");
                prop_assert!(!name.starts_with(|c: char| c.is_ascii_digit()), "{name}");
            }
        }
    }

    #[test]
    fn a_file_names_its_format() {
        assert!(matches!(format_of(Path::new("a.CSV.gz")), Some(Format::Csv)));
        assert!(matches!(format_of(Path::new("a.jsonl")), Some(Format::Ndjson)));
        assert!(format_of(Path::new("-")).is_none());
        assert!(format_of(Path::new("a.gz")).is_none());
    }
}
