//! `lakehouse search`

mod hits;

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use hits::Found;

#[derive(Args)]
#[command(group(ArgGroup::new("near").required(true)))]
pub(crate) struct SearchArguments {
    /// The index, or an alias of one.
    index: String,
    /// What to look for, in words.
    #[arg(group = "near")]
    text: Option<String>,
    /// What is near this item, by its id.
    #[arg(long, value_name = "ID", group = "near")]
    like: Option<String>,
    /// What is near this vector, as '[0.1, 0.9]'.
    #[arg(long, value_name = "JSON", group = "near")]
    vector: Option<String>,
    /// Results at most.
    #[arg(long, short, default_value_t = 10)]
    k: u64,
    /// Only items whose metadata matches, as '{"state": "IL", "pay": {"$lt": 30}}'.
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// Leave out what scores less.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    min_score: Option<f64>,
    /// Candidates kept on the way: more is better and slower [default: the index's].
    #[arg(long, value_name = "N", conflicts_with = "exact")]
    ef: Option<u64>,
    /// Compare with every item.
    #[arg(long)]
    exact: bool,
    /// The metadata to show, separated by commas [default: all].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// How results are written [default: table in a terminal, else csv].
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Where to; a file appears only when the result is whole [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned, for a person: rank, score, id and metadata.
    Table,
    /// The same with a header, exactly.
    Csv,
    /// The server's answer as it is.
    Json,
}

pub(crate) async fn run(client: &Client, arguments: SearchArguments) -> Result<(), Failure> {
    let body = body(&arguments)?;
    let mut output = Output::open(arguments.output)?;
    let terminal = output.is_terminal();
    let format = arguments.format.unwrap_or(if terminal { Format::Table } else { Format::Csv });
    let path = ["v1", "vectors", "index", &arguments.index, "search"];
    let request = client.request(Method::POST, &path).json(&body);
    let text = match format {
        Format::Json => String::from_utf8_lossy(&client.body(request).await?).into_owned() + "\n",
        Format::Table => {
            let width = terminal.then(|| usize::from(console::Term::stdout().size().1));
            client.json::<Found>(request).await?.table(arguments.columns.as_deref()).render(width)
        }
        Format::Csv => client.json::<Found>(request).await?.csv(arguments.columns.as_deref()),
    };
    output.write_all(text.as_bytes())?;
    output.finish()
}

fn body(arguments: &SearchArguments) -> Result<Value, Failure> {
    let SearchArguments { text, like, vector, k, filter, min_score, ef, exact, .. } = arguments;
    let mut body = Map::from_iter([("k".to_owned(), json!(k))]);
    let mut add = |key: &str, value: Option<Value>| body.extend(value.map(|value| (key.to_owned(), value)));
    add("text", text.as_ref().map(|text| json!(text)));
    add("id", like.as_ref().map(|id| json!(id)));
    add("vector", vector.as_deref().map(|text| parsed("--vector", text)).transpose()?);
    add("filter", filter.as_deref().map(|text| parsed("--filter", text)).transpose()?);
    add("min_score", min_score.map(|score| json!(score)));
    add("ef", ef.map(|ef| json!(ef)));
    add("exact", exact.then(|| json!(true)));
    Ok(Value::Object(body))
}

fn parsed(flag: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Usage(format!("{flag} is not JSON: {error}: {text:?}")))
}
