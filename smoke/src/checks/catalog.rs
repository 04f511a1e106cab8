//! Objects become datasets, under ids that depend on their names alone.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::context::Context;
use crate::data;
use crate::http::Http;

/// Every id that was ever given out depends on it.
const NAMESPACE: Uuid = Uuid::from_u128(0xa8f3_c1d2_4e5b_5a6c_9d8e_7f0a_1b2c_3d4e);

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let (http, name) = (&context.http, context.name("catalog"));
    upload(http, &name).await?;
    let first = registered(http, &json!({ "name": name, "objects": [key(&name, "a")], "request_id": "one" })).await?;
    let id = Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string();
    ensure!(first["dataset_id"] == id, "the id is {} and not {id}", first["dataset_id"]);
    ensure!(first["version"] == 1 && first["rows"] == 100 && first["existing"] == false, "{first}");

    let again = registered(http, &json!({ "name": name, "objects": [key(&name, "a")], "request_id": "one" })).await?;
    ensure!(again["version"] == 1 && again["rows"] == 100, "a request id, sent again, did something: {again}");
    let more = registered(http, &json!({ "name": name, "objects": [key(&name, "b")] })).await?;
    ensure!(more["dataset_id"] == id && more["version"] == 2, "{more}");
    ensure!(more["rows"] == 150 && more["existing"] == true && more["objects"] == 2, "{more}");
    ensure!(more["fingerprint"] == first["fingerprint"], "the same schema, another fingerprint");

    let other = json!({ "name": name, "objects": [key(&name, "other")] });
    http.post_json("/v1/catalog/register", &other).await?.is(409)?;
    let missing = json!({ "name": name, "objects": [key(&name, "missing")] });
    http.post_json("/v1/catalog/register", &missing).await?.is(404)?;
    for bad in ["Upper", "1digit", "system_x", "select", "a-b", ""] {
        let body = json!({ "name": bad, "objects": [key(&name, "a")] });
        http.post_json("/v1/catalog/register", &body).await?.problem(400, "invalid_argument")?;
    }
    // What was registered is the dataset's own: the object may go.
    http.put(&format!("/v1/storage/{name}/a"), "changed").await?;
    http.delete(&format!("/v1/storage/{name}/b")).await?.is(204)?;
    ensure!(http.count(&name).await? == 150, "the dataset changed with the caller's object");
    listed(http, &name).await.context("lists")?;
    deleted(http, &name).await.context("delete")
}

async fn upload(http: &Http, name: &str) -> Result<()> {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let other = RecordBatch::try_from_iter([("name", names)])?;
    for (key, batch) in [("a", data::batch(100)?), ("b", data::batch(50)?), ("other", other)] {
        let stored = http.put(&format!("/v1/storage/{name}/{key}"), data::parquet(&batch)?).await?;
        ensure!(matches!(stored.status, 200 | 201), "PUT {key}: {}", stored.status);
    }
    Ok(())
}

fn key(name: &str, key: &str) -> Value {
    json!({ "key": format!("{name}/{key}") })
}

async fn registered(http: &Http, body: &Value) -> Result<Value> {
    let answer = http.post_json("/v1/catalog/register", body).await?;
    ensure!(matches!(answer.status, 200 | 201), "register: {} {}", answer.status, answer.text());
    answer.json()
}

async fn listed(http: &Http, name: &str) -> Result<()> {
    let dataset = http.get(&format!("/v1/catalog/datasets/{name}")).await?.is(200)?.json()?;
    let columns: Vec<&str> =
        dataset["schema"].as_array().into_iter().flatten().filter_map(|column| column["name"].as_str()).collect();
    ensure!(columns == ["id", "name", "pay"], "columns {columns:?} in {dataset}");
    let versions = http.get(&format!("/v1/catalog/datasets/{name}/versions")).await?.is(200)?.json()?;
    ensure!(versions["versions"].as_array().is_some_and(|list| list.len() == 2), "{versions}");
    let (mut found, mut cursor) = (false, String::new());
    loop {
        let page = http.get(&format!("/v1/catalog/datasets?limit=1&cursor={cursor}")).await?.is(200)?.json()?;
        found |= page["datasets"][0]["name"] == name;
        match page["next_cursor"].as_str() {
            Some(next) if !next.is_empty() => cursor = next.to_owned(),
            _ => break,
        }
    }
    ensure!(found, "{name} is on no page");
    Ok(())
}

async fn deleted(http: &Http, name: &str) -> Result<()> {
    let path = format!("/v1/catalog/datasets/{name}");
    http.delete(&path).await?.is(204)?;
    http.get(&path).await?.problem(404, "not_found")?;
    http.delete(&path).await?.problem(404, "not_found")?;
    let gone = http.post_json("/v1/sql", &json!({ "sql": format!("SELECT * FROM {name}") })).await?;
    ensure!(matches!(gone.status, 400 | 404), "a deleted dataset: {}", gone.status);
    // Its versions go on where they were, so that no number ever means two things.
    let again = registered(http, &json!({ "name": name, "objects": [key(name, "other")] })).await?;
    ensure!(again["version"] == 4 && again["rows"] == 1, "after a tombstone: {again}");
    http.delete(&path).await?.is(204)?;
    Ok(())
}
