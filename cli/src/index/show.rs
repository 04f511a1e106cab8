//! `lakehouse index list`, `show` and `delete`

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{COLLECTION, segments};
use crate::client::Client;
use crate::failure::Failure;
use crate::list;
use crate::output;
use crate::size;

#[derive(Args)]
pub(super) struct ListArguments {
    /// JSON, one object a line, for scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct ShowArguments {
    /// The index.
    name: String,
    /// Print the server's answer as it is.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct DeleteArguments {
    /// The index.
    name: String,
}

pub(super) async fn list(client: &Client, arguments: &ListArguments) -> Result<(), Failure> {
    let entries = list::pages(client, &COLLECTION).await?;
    let columns = [
        ("name", ""),
        ("status", ""),
        ("count", "BIGINT"),
        ("dimension", "BIGINT"),
        ("distance", ""),
        ("model", ""),
        ("dataset", ""),
        ("version", "BIGINT"),
    ];
    let text = if arguments.json {
        list::shown(&entries, &columns, true)
    } else {
        list::shown(&entries.iter().map(line).collect::<Vec<_>>(), &columns, false)
    };
    output::print(&text)
}

/// An index as one line of a table. What it does not have stays empty.
fn line(index: &Value) -> Value {
    let told = |value: &Value| if value.is_null() { json!("") } else { value.clone() };
    let mut line: serde_json::Map<String, Value> = ["name", "count", "dimension", "distance", "model"]
        .iter()
        .map(|&key| (key.to_owned(), told(&index[key])))
        .collect();
    line.insert("status".into(), status(index).into());
    line.insert("dataset".into(), told(&index["source"]["dataset"]));
    line.insert("version".into(), told(&index["following"]["version"]));
    Value::Object(line)
}

/// In one word: a ready index that follows is what its following is.
fn status(index: &Value) -> &str {
    let own = index["status"].as_str().unwrap_or_default();
    match index["following"]["status"].as_str() {
        Some(following) if own == "ready" => following,
        _ => own,
    }
}

pub(super) async fn show(client: &Client, arguments: &ShowArguments) -> Result<(), Failure> {
    let index: Value = client.json(client.get(&segments(&arguments.name))).await?;
    let text = if arguments.json { format!("{index}\n") } else { described(&index) };
    output::print(&text)
}

/// One fact a line; what is not there is left out.
fn described(index: &Value) -> String {
    let mut text = String::new();
    let mut fact = |name: &str, told: String| {
        if !told.is_empty() {
            text.push_str(&format!("{name:<13}{told}\n"));
        }
    };
    fact("name", said(&index["name"]));
    fact("status", [said(&index["status"]), said(&index["reason"])].join(" ").trim().to_owned());
    fact("items", said(&index["count"]));
    fact("vectors", format!("{} dimensions, {}", said(&index["dimension"]), said(&index["distance"])));
    let memory = index["memory_bytes"].as_u64().map(size::human).unwrap_or_default();
    fact("memory", memory);
    fact("model", said(&index["model"]));
    fact("fingerprint", said(&index["fingerprint"]));
    let source = &index["source"];
    if source.is_object() {
        fact("dataset", format!("{}, by {}", said(&source["dataset"]), said(&source["id_column"])));
        fact("text", said(&source["text"]));
        let columns: Vec<String> = source["metadata_columns"].as_array().into_iter().flatten().map(said).collect();
        fact("metadata", columns.join(", "));
    }
    fact("following", progress(&index["following"]));
    text
}

/// `current, version 3`, or where it is on its way.
fn progress(following: &Value) -> String {
    let mut told = vec![said(&following["status"])];
    let version = |key: &str| following[key].as_u64();
    told.extend(version("version").map(|version| format!("version {version}")));
    if let Some(target) = version("target_version") {
        let total = version("rows_total").map(|total| format!(" of {total}")).unwrap_or_default();
        told.push(format!("version {target} on its way, {}{total} rows", said(&following["rows_done"])));
    }
    told.push(said(&following["reason"]));
    told.retain(|part| !part.is_empty());
    told.join(", ")
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) async fn delete(client: &Client, arguments: &DeleteArguments) -> Result<(), Failure> {
    client.send(client.request(Method::DELETE, &segments(&arguments.name))).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_how_far_an_index_is() {
        let building = json!({
            "name": "i", "status": "ready", "count": 5, "model": "m", "source": { "dataset": "d" },
            "following": { "status": "running", "version": null },
        });
        let told = line(&building);
        assert_eq!((&told["status"], &told["dataset"], &told["version"]), (&json!("running"), &json!("d"), &json!("")));
        let broken = json!({ "name": "i", "status": "failed", "reason": "torn" });
        assert_eq!(line(&broken)["status"], "failed");
    }

    #[test]
    fn progress_names_both_versions() {
        let running = json!({
            "status": "running", "version": 1, "target_version": 2, "rows_total": 10, "rows_done": 4, "reason": null,
        });
        assert_eq!(progress(&running), "running, version 1, version 2 on its way, 4 of 10 rows");
        assert_eq!(progress(&json!({ "status": "current", "version": 3, "rows_done": 0 })), "current, version 3");
        assert_eq!(progress(&Value::Null), "");
    }
}
