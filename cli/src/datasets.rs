//! `lakehouse datasets`

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use crate::client::Client;
use crate::failure::Failure;
use crate::list;
use crate::output;
use crate::size;

#[derive(Args)]
pub(crate) struct DatasetsArguments {
    /// One dataset: its columns.
    name: Option<String>,
    /// Its versions instead.
    #[arg(long, requires = "name", conflicts_with = "delete")]
    versions: bool,
    /// Deletes it.
    #[arg(long, requires = "name")]
    delete: bool,
    /// JSON, one object a line, for scripts.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(client: &Client, arguments: DatasetsArguments) -> Result<(), Failure> {
    let collection = ["v1", "catalog", "datasets"];
    let columns: &[(&str, &str)] = match (&arguments.name, arguments.versions) {
        (Some(name), false) if arguments.delete => {
            let gone = client.request(Method::DELETE, &[&collection[..], &[name]].concat());
            return client.send(gone).await.map(drop);
        }
        (Some(name), false) => return show(client, name, arguments.json).await,
        (Some(_), true) => {
            &[("version", "BIGINT"), ("op", ""), ("rows", "BIGINT"), ("bytes", "BIGINT"), ("created", "")]
        }
        (None, _) => {
            &[("name", ""), ("version", "BIGINT"), ("rows", "BIGINT"), ("bytes", "BIGINT"), ("objects", "BIGINT")]
        }
    };
    let segments = match &arguments.name {
        Some(name) => [&collection[..], &[name, "versions"]].concat(),
        None => collection.to_vec(),
    };
    let entries = list::pages(client, &segments).await?;
    output::print(&list::shown(&entries, columns, arguments.json))
}

async fn show(client: &Client, name: &str, json: bool) -> Result<(), Failure> {
    let dataset: Value = client.json(client.get(&["v1", "catalog", "datasets", name])).await?;
    let text = if json {
        format!("{dataset}\n")
    } else {
        let fields = dataset["schema"].as_array();
        let columns = [("name", ""), ("type", ""), ("nullable", "")];
        let number = |key: &str| dataset[key].as_u64().unwrap_or(0);
        format!(
            "{name} version {}: {} rows, {}\n{}",
            number("version"),
            number("rows"),
            size::human(number("bytes")),
            list::shown(fields.map_or(&[], Vec::as_slice), &columns, false)
        )
    };
    output::print(&text)
}
