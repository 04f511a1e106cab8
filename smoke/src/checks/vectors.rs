//! Vectors go in with ids and metadata, and are found by nearness and by filter.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::context::Context;
use crate::http::Http;

const DIMENSION: usize = 32;
const ITEMS: usize = 200;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let name = context.name("workers");
    let http = &context.http;
    let index = json!({ "name": name, "dimension": DIMENSION, "distance": "cosine" });
    http.post_json("/v1/vectors/index", &index).await?.is(201).context("create")?;
    http.post_json("/v1/vectors/index", &index).await?.problem(409, "already_exists").context("duplicate")?;
    let list = http.get("/v1/vectors/index?limit=1000").await?.is(200)?.json()?;
    let listed = list["indexes"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == name));
    ensure!(listed, "{name} is not in {list}");

    let path = format!("/v1/vectors/index/{name}");
    let added = post(http, &path, "add", &json!({ "items": (0..ITEMS).map(item).collect::<Vec<_>>() })).await?;
    ensure!(added == json!({ "added": ITEMS, "updated": 0 }), "{added}");
    found(http, &path).await?;
    refused(http, &path).await?;

    let deleted = post(http, &path, "delete", &json!({ "filter": { "state": "TX" } })).await?;
    ensure!(deleted == json!({ "deleted": ITEMS / 2 }), "{deleted}");
    ensure!(post(http, &path, "count", &json!({})).await? == json!({ "count": ITEMS / 2 }), "count");
    imported(context, &path).await.context("import")?;
    let http = &context.http;
    http.delete(&path).await?.is(204)?;
    http.get(&path).await?.problem(404, "not_found").map(drop)
}

/// A dataset's column becomes items.
async fn imported(context: &Context, path: &str) -> Result<()> {
    let (http, dataset) = (&context.http, context.name("embedded"));
    let rows: Vec<String> = (500..600)
        .map(|at| json!({ "id": format!("w-{at}"), "embedding": vector(at), "role": "welder" }).to_string())
        .collect();
    http.ingest(&dataset, "format=ndjson", rows.join("\n")).await?.is(201)?;
    let columns = json!({
        "dataset": dataset, "id_column": "id", "vector_column": "embedding", "metadata_columns": ["role"],
    });
    let begun = post(http, path, "import", &columns).await?;
    let id = begun["id"].as_str().context("an id")?;
    let ended = loop {
        let import = http.get(&format!("{path}/import/{id}")).await?.is(200)?.json()?;
        if import["status"] == "done" || import["status"] == "failed" {
            break import;
        }
        tokio::task::yield_now().await;
    };
    ensure!(ended["status"] == "done" && ended["rows_done"] == 100 && ended["added"] == 100, "{ended}");
    let nearest =
        post(http, path, "search", &json!({ "vector": vector(555), "k": 1, "filter": { "role": "welder" } })).await?;
    ensure!(nearest["results"][0]["id"] == "w-555", "{nearest}");
    http.delete(&format!("/v1/catalog/datasets/{dataset}")).await?.is(204).map(drop)
}

async fn found(http: &Http, path: &str) -> Result<()> {
    let nearest = post(http, path, "search", &json!({ "vector": vector(42), "k": 3 })).await?;
    let first = &nearest["results"][0];
    ensure!(first["id"] == "w-042" && first["metadata"]["number"] == 42, "{nearest}");
    ensure!(first["distance"].as_f64().is_some_and(|distance| distance.abs() < 1e-6), "{nearest}");
    let texans = json!({ "vector": vector(42), "k": 5, "filter": { "state": "TX", "number": { "$lt": 10 } } });
    let texans = post(http, path, "search", &texans).await?;
    let results = texans["results"].as_array().context("results")?;
    let all_match = results.iter().all(|one| one["metadata"]["state"] == "TX");
    ensure!(results.len() == 5 && all_match, "five of the first ten are in Texas: {texans}");
    let one = http.get(&format!("{path}/items/w-007")).await?.is(200)?.json()?;
    ensure!(one["vector"].as_array().is_some_and(|vector| vector.len() == DIMENSION), "{one}");
    Ok(())
}

async fn refused(http: &Http, path: &str) -> Result<()> {
    let short = json!({ "vector": [1.0, 2.0], "k": 3 });
    http.post_json(&format!("{path}/search"), &short).await?.problem(400, "invalid_argument").context("dimension")?;
    let nowhere = "/v1/vectors/index/no_such_index/search";
    http.post_json(nowhere, &json!({ "vector": [1.0], "k": 3 })).await?.problem(404, "not_found").context("missing")?;
    let bad = json!({ "items": [item(1_000), { "id": "w-bad", "vector": [0.5] }] });
    http.post_json(&format!("{path}/add"), &bad).await?.problem(400, "invalid_argument").context("a bad batch")?;
    ensure!(post(http, path, "count", &json!({})).await? == json!({ "count": ITEMS }), "half a batch is there");
    Ok(())
}

pub(super) async fn post(http: &Http, path: &str, verb: &str, body: &Value) -> Result<Value> {
    http.post_json(&format!("{path}/{verb}"), body).await?.is(200).with_context(|| verb.to_owned())?.json()
}

fn item(number: usize) -> Value {
    let state = if number.is_multiple_of(2) { "IL" } else { "TX" };
    json!({ "id": format!("w-{number:03}"), "vector": vector(number), "metadata": { "number": number, "state": state } })
}

/// Directions that no two numbers share.
fn vector(number: usize) -> Vec<f64> {
    (0..DIMENSION).map(|at| ((number * 31 + at * at * 7 + number * at) as f64 * 0.37).sin()).collect()
}
