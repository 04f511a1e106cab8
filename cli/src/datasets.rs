//! `lakehouse datasets`

use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::size;
use crate::table::{Column, Table};

const PAGE: &str = "1000";

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

#[derive(Deserialize)]
struct Page {
    #[serde(alias = "versions")]
    datasets: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

pub(crate) async fn run(client: &Client, arguments: DatasetsArguments) -> Result<(), Failure> {
    let mut output = Output::open(None)?;
    let collection = ["v1", "catalog", "datasets"];
    let columns: &[(&str, &str)] = match (&arguments.name, arguments.versions) {
        (Some(name), false) if arguments.delete => {
            let gone = client.request(Method::DELETE, &[&collection[..], &[name]].concat());
            client.send(gone).await?;
            return output.finish();
        }
        (Some(name), false) => return show(client, name, arguments.json, output).await,
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
    let entries = pages(client, &segments).await?;
    output.write_all(listed(&entries, columns, arguments.json).as_bytes())?;
    output.finish()
}

/// All pages of a list.
async fn pages(client: &Client, segments: &[&str]) -> Result<Vec<Value>, Failure> {
    let mut entries = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = client.get(segments).query(&[("limit", PAGE)]);
        if let Some(cursor) = &cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let page: Page = client.json(request).await?;
        entries.extend(page.datasets);
        cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
        if cursor.is_none() {
            return Ok(entries);
        }
    }
}

fn listed(entries: &[Value], columns: &[(&str, &str)], json: bool) -> String {
    if json {
        return entries.iter().map(|entry| format!("{entry}\n")).collect();
    }
    let row = |entry: &Value| {
        let cell = |(name, _): &(&str, &str)| match (*name, &entry[*name]) {
            ("bytes", Value::Number(bytes)) => json!(size::human(bytes.as_u64().unwrap_or(0))),
            (_, value) => value.clone(),
        };
        columns.iter().map(cell).collect()
    };
    let table = Table {
        columns: columns.iter().map(|(name, kind)| Column::new(name, kind)).collect(),
        rows: entries.iter().map(row).collect(),
    };
    table.render(None)
}

async fn show(client: &Client, name: &str, json: bool, mut output: Output) -> Result<(), Failure> {
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
            listed(fields.map_or(&[], Vec::as_slice), &columns, false)
        )
    };
    output.write_all(text.as_bytes())?;
    output.finish()
}
