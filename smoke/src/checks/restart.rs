//! What was there before a restart is there after it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::meaning::{begin, followed, hire};
use crate::context::Context;
use crate::data;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let (name, gone) = (context.name("kept"), context.name("gone"));
    let object = format!("/v1/storage/{}", context.name("kept/object"));
    let http = &context.http;
    http.ingest(&name, "", data::csv(1_000)).await?.is(201)?;
    http.ingest(&name, "mode=append", data::csv(500)).await?.is(200)?;
    http.ingest(&name, "mode=replace", data::csv(10)).await?.is(200)?;
    http.ingest(&gone, "", data::csv(5)).await?.is(201)?;
    http.delete(&format!("/v1/catalog/datasets/{gone}")).await?.is(204)?;
    http.put(&object, data::noise(7, 100_000)).await?;
    let vectors = context.name("kept_vectors");
    let index = json!({ "name": vectors, "dimension": 2, "distance": "l2" });
    http.post_json("/v1/vectors/index", &index).await?.is(201)?;
    let items =
        json!({ "items": [{ "id": "a", "vector": [1, 2], "metadata": { "n": 1 } }, { "id": "b", "vector": [3, 4] }] });
    http.post_json(&format!("/v1/vectors/index/{vectors}/add"), &items).await?.is(200)?;
    let (crew, crew_index) = (context.name("kept_crew"), context.name("kept_crew_idx"));
    begin(http, &crew, &crew_index).await?;
    let following = followed(http, &crew_index, 1).await?;
    let before = state(context, &name).await?;
    let nearest = nearest(context, &vectors).await?;

    context.terminate_and_launch().await?;
    let http = &context.http;
    let after = state(context, &name).await?;
    ensure!(before == after, "before the restart: {before}\nafter it: {after}");
    ensure!(http.get(&object).await?.is(200)?.body == data::noise(7, 100_000), "the object");
    ensure!(self::nearest(context, &vectors).await? == nearest, "other answers than {nearest}");
    let still = followed(http, &crew_index, 1).await?;
    for key in ["model", "fingerprint", "source", "count"] {
        ensure!(still[key] == following[key], "{key} was {}: {still}", following[key]);
    }
    http.get(&format!("/v1/catalog/datasets/{gone}")).await?.problem(404, "not_found")?;
    let versions = http.rows(&format!("SELECT (SELECT count(*) FROM dataset_at('{name}', 1)), (SELECT count(*) FROM dataset_at('{name}', 2)), (SELECT count(*) FROM {name})")).await?;
    ensure!(versions == [json!([1_000, 1_500, 10])], "the versions: {versions:?}");
    // And it goes on where it was.
    let again = http.ingest(&gone, "", data::csv(6)).await?.is(201)?.json()?;
    ensure!(again["version"] == 3, "after a tombstone: {again}");
    http.ingest(&name, "mode=append", data::csv(1)).await?.is(200)?;
    ensure!(http.count(&name).await? == 11, "an append after the restart");
    hire(http, &crew, 5, "pastry chef").await?;
    ensure!(followed(http, &crew_index, 2).await?["count"] == 5, "an index that follows no more");
    Ok(())
}

/// What a search finds, once the index is loaded.
async fn nearest(context: &Context, index: &str) -> Result<Value> {
    let search = json!({ "vector": [1, 2], "k": 2, "with_vector": true });
    let path = format!("/v1/vectors/index/{index}/search");
    loop {
        let answer = context.http.post_json(&path, &search).await?;
        if answer.status != 503 {
            return answer.is(200)?.json();
        }
        tokio::task::yield_now().await;
    }
}

/// The whole catalog, and one dataset in every detail.
async fn state(context: &Context, name: &str) -> Result<Value> {
    let list = context.http.get("/v1/catalog/datasets?limit=1000").await?.is(200)?.json().context("the list")?;
    let one = context.http.get(&format!("/v1/catalog/datasets/{name}")).await?.is(200)?.json()?;
    Ok(json!([list, one]))
}
