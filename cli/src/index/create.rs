//! `lakehouse index create`

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{COLLECTION, columns, following};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::sql::humantime;

#[derive(Args)]
#[command(after_help = "\
Examples:
  lakehouse index create workers_idx --dataset workers --text '{role} in {city}: {summary}'
  lakehouse index create notes --model all-MiniLM-L6-v2
  lakehouse index create faces --dimension 512 --distance l2")]
pub(crate) struct CreateArguments {
    /// The index.
    name: String,
    /// The dataset whose rows it holds, now and later.
    #[arg(long, requires = "text")]
    dataset: Option<String>,
    /// The dataset's column whose values are the items' ids.
    #[arg(long, value_name = "COLUMN", default_value = "id")]
    id: String,
    /// What is embedded of a row, as '{role} in {city}'; {{ and }} are braces.
    #[arg(long, value_name = "TEMPLATE", requires = "dataset")]
    text: Option<String>,
    /// The columns that filters use and results show, separated by commas; '' for none [default: those of the
    /// text and every flat one, 16 at most].
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "dataset")]
    metadata: Option<Vec<String>>,
    /// What makes vectors of texts [default: with --dataset the platform's default model, else none].
    #[arg(long)]
    model: Option<String>,
    /// Numbers in a vector [default: the model's].
    #[arg(long, value_name = "N")]
    dimension: Option<u32>,
    /// How far apart two vectors are.
    #[arg(long, value_enum, default_value_t = Distance::Cosine)]
    distance: Distance,
    /// Neighbours of an item in the graph [default: the server's].
    #[arg(long, value_name = "N")]
    m: Option<u32>,
    /// Candidates when an item is linked [default: the server's].
    #[arg(long, value_name = "N")]
    ef_construction: Option<u32>,
    /// Candidates of a search that names none [default: the server's].
    #[arg(long, value_name = "N")]
    ef_search: Option<u32>,
    /// What finds neighbours: lake or hnsw_rs [default: the server's].
    #[arg(long)]
    engine: Option<String>,
    /// Return at once; the index is built in the background all the same.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait, as 30s or 5m [default: until it is built].
    #[arg(long, value_name = "TIME", value_parser = humantime, conflicts_with = "no_wait")]
    timeout: Option<Duration>,
    /// Print the index as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Distance {
    /// 1 − cosine.
    Cosine,
    /// Squared Euclidean.
    L2,
    /// Negative dot product.
    Dot,
}

pub(super) async fn run(client: &Client, arguments: CreateArguments) -> Result<(), Failure> {
    let began = Instant::now();
    let made: Value =
        client.json(client.request(Method::POST, &COLLECTION).json(&body(client, &arguments).await?)).await?;
    let waits = arguments.dataset.is_some() && !arguments.no_wait;
    let index = if waits {
        let waited = following::wait(client, &arguments.name, arguments.timeout).await;
        waited.map_err(|failure| match failure {
            Failure::TimedOut(what) => {
                Failure::TimedOut(format!("{what}; it goes on: lakehouse index wait {}", arguments.name))
            }
            failure => failure,
        })?
    } else {
        made
    };
    let text = match &arguments.dataset {
        _ if arguments.json => format!("{index}\n"),
        Some(_) if waits => following::standing(&index, Some(began.elapsed())),
        Some(dataset) => format!("{}: made; it is filled from {dataset} (lakehouse index wait {0})\n", arguments.name),
        None => format!("{}: made, empty\n", arguments.name),
    };
    output::print(&text)
}

async fn body(client: &Client, arguments: &CreateArguments) -> Result<Value, Failure> {
    let CreateArguments { name, dimension, model, m, ef_construction, ef_search, engine, .. } = arguments;
    let distance = match arguments.distance {
        Distance::Cosine => "cosine",
        Distance::L2 => "l2",
        Distance::Dot => "dot",
    };
    let mut body = Map::from_iter([("name".to_owned(), json!(name)), ("distance".to_owned(), json!(distance))]);
    let numbers = [("dimension", dimension), ("m", m), ("ef_construction", ef_construction), ("ef_search", ef_search)];
    let numbers = numbers.into_iter().filter_map(|(key, value)| Some((key, json!((*value)?))));
    let texts = [("model", model), ("engine", engine)];
    let texts = texts.into_iter().filter_map(|(key, value)| Some((key, json!(value.as_ref()?))));
    body.extend(numbers.chain(texts).map(|(key, value)| (key.to_owned(), value)));
    if let (Some(dataset), Some(text)) = (&arguments.dataset, &arguments.text) {
        let metadata = match &arguments.metadata {
            Some(named) => named.iter().filter(|name| !name.is_empty()).cloned().collect(),
            None => columns::default(client, dataset, &arguments.id, text).await?,
        };
        let source =
            json!({ "dataset": dataset, "id_column": arguments.id, "text": text, "metadata_columns": metadata });
        body.insert("source".into(), source);
    }
    Ok(Value::Object(body))
}
