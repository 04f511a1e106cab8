//! Texts go into indexes and are found by what they mean; an index follows its dataset; SQL searches.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::embeddings::MODEL;
use super::vectors::post;
use crate::context::Context;
use crate::http::Http;

const POLL_EVERY: Duration = Duration::from_millis(10);
const CREW: &str = "id,role,city,state,pay
1,welder,Chicago,IL,31.5
2,forklift operator,Joliet,IL,22
3,registered nurse,Springfield,IL,44
4,welder,Austin,TX,29
";

pub(super) async fn run(context: &mut Context) -> Result<()> {
    texts(&context.http, &context.name("notes")).await.context("an index of texts")?;
    let (dataset, index) = (context.name("crew"), context.name("crew_idx"));
    follows(&context.http, &dataset, &index).await.context("an index that follows")?;
    in_sql(&context.http, &dataset, &index).await.context("in SQL")?;
    for path in [format!("/v1/vectors/index/{index}"), format!("/v1/catalog/datasets/{dataset}")] {
        context.http.delete(&path).await?.is(204)?;
    }
    Ok(())
}

/// Texts where vectors would be.
async fn texts(http: &Http, name: &str) -> Result<()> {
    let path = format!("/v1/vectors/index/{name}");
    let made = http.post_json("/v1/vectors/index", &json!({ "name": name, "model": MODEL })).await?.is(201)?.json()?;
    ensure!(made["dimension"] == 384 && made["model"] == MODEL && made["distance"] == "cosine", "{made}");
    ensure!(made["fingerprint"].as_str().is_some_and(|hex| hex.len() == 64), "{made}");
    let items = json!({ "items": [
        { "id": "weld", "text": "joins steel with an electric arc", "metadata": { "shift": "day" } },
        { "id": "care", "text": "looks after patients in a hospital", "metadata": { "shift": "night" } },
        { "id": "dig", "text": "drives an excavator on building sites", "metadata": { "shift": "day" } },
    ]});
    let added = post(http, &path, "add", &items).await?;
    ensure!(added == json!({ "added": 3, "updated": 0 }), "{added}");
    ensure!(first(http, &path, &json!({ "text": "welder", "k": 1 })).await? == "weld", "by meaning");
    let night = json!({ "text": "welder", "k": 1, "filter": { "shift": "night" } });
    ensure!(first(http, &path, &night).await? == "care", "the filter");
    let both = post(http, &path, "search", &json!({ "texts": ["nurse", "digger operator"], "k": 1 })).await?;
    let ids = [&both["results"][0][0]["id"], &both["results"][1][0]["id"]];
    ensure!(ids == ["care", "dig"], "two texts at once: {both}");
    let both = json!({ "text": "welder", "vector": [1.0] });
    http.post_json(&format!("{path}/search"), &both).await?.problem(400, "invalid_argument").context("both")?;
    http.delete(&path).await?.is(204)?;

    let plain = json!({ "name": name, "dimension": 2, "distance": "cosine" });
    http.post_json("/v1/vectors/index", &plain).await?.is(201)?;
    let refused = http.post_json(&format!("{path}/search"), &json!({ "text": "welder" })).await?;
    refused.problem(400, "invalid_argument").context("a text without a model")?;
    http.delete(&path).await?.is(204).map(drop)
}

/// What the dataset has, the index has: rows that came, that changed, and none that went.
async fn follows(http: &Http, dataset: &str, index: &str) -> Result<()> {
    let path = format!("/v1/vectors/index/{index}");
    let made = begin(http, dataset, index).await?;
    ensure!(made["source"]["dataset"] == dataset, "{made}");
    followed(http, index, 1).await?;
    let welder = json!({ "text": "somebody who joins metal", "k": 2, "filter": { "state": "IL" } });
    let found = post(http, &path, "search", &welder).await?;
    ensure!(found["results"][0]["id"] == "1" && found["results"][0]["metadata"]["pay"] == 31.5, "{found}");

    hire(http, dataset, 5, "pastry chef").await?;
    let grown = followed(http, index, 2).await?;
    ensure!(grown["count"] == 5, "{grown}");
    ensure!(first(http, &path, &json!({ "text": "baker of cakes", "k": 1 })).await? == "5", "the appended row");

    // One row goes, one is another's now, the others stay.
    let replaced =
        CREW.replace("2,forklift operator,Joliet", "2,veterinarian,Rockford").replace("4,welder,Austin,TX,29\n", "");
    http.ingest(dataset, "mode=replace", replaced).await?.is(200)?;
    let shrunk = followed(http, index, 3).await?;
    ensure!(shrunk["count"] == 3, "{shrunk}");
    http.get(&format!("{path}/items/4")).await?.problem(404, "not_found").context("a row that went")?;
    http.get(&format!("{path}/items/5")).await?.problem(404, "not_found").context("a row that came and went")?;
    ensure!(first(http, &path, &json!({ "text": "animal doctor", "k": 1 })).await? == "2", "the row that changed");
    Ok(())
}

/// A search is a table.
async fn in_sql(http: &Http, dataset: &str, index: &str) -> Result<()> {
    let sql = format!(
        "SELECT w.role, s.score > 0.2, s.score + s.distance BETWEEN 0.999 AND 1.001, s.metadata->>'city' = w.city
         FROM vector_search('{index}', 'joins metal', k := 2, filter := '{{\"state\": \"IL\"}}') s
         JOIN {dataset} w ON w.id::VARCHAR = s.id ORDER BY s.score DESC LIMIT 1"
    );
    let joined = http.rows(&sql).await?;
    ensure!(joined == [json!(["welder", true, true, true])], "{joined:?}");
    let asked =
        json!({ "sql": format!("SELECT id FROM vector_search('{index}', $q, k := 1)"), "params": { "q": "nursing" } });
    let answer = http.post_json("/v1/sql", &asked).await?.is(200).context("a parameter")?.json()?;
    ensure!(answer["rows"] == json!([["3"]]), "{answer}");

    let sql = "SELECT typeof(embed('welder')), len(embed('welder')),
                      list_cosine_similarity(embed('welder'), embed('joins metal'))
                        > list_cosine_similarity(embed('welder'), embed('nurse at night'))";
    let embedded = http.rows(sql).await?;
    ensure!(embedded == [json!(["FLOAT[]", 384, true])], "{embedded:?}");
    let nobody = json!({ "sql": "SELECT * FROM vector_search('no_such_index', 'welder')" });
    let refused = http.post_json("/v1/sql", &nobody).await?;
    ensure!((400..500).contains(&refused.status), "{} for a missing index: {}", refused.status, refused.text());
    ensure!(refused.text().contains("no_such_index"), "which index? {}", refused.text());
    Ok(())
}

/// A dataset of four, and an index that follows it.
pub(super) async fn begin(http: &Http, dataset: &str, index: &str) -> Result<Value> {
    http.ingest(dataset, "", CREW).await?.is(201)?;
    let source = json!({
        "dataset": dataset, "id_column": "id", "text": "{role} in {city}", "metadata_columns": ["city", "state", "pay"],
    });
    http.post_json("/v1/vectors/index", &json!({ "name": index, "source": source })).await?.is(201)?.json()
}

/// One row more of that dataset.
pub(super) async fn hire(http: &Http, dataset: &str, id: usize, role: &str) -> Result<()> {
    let row = format!("id,role,city,state,pay\n{id},{role},Peoria,IL,24\n");
    http.ingest(dataset, "mode=append", row).await?.is(200).map(drop)
}

/// The index, once it stands at this version of its dataset or a later one.
pub(super) async fn followed(http: &Http, index: &str, version: u64) -> Result<Value> {
    let path = format!("/v1/vectors/index/{index}");
    loop {
        let answer = http.get(&path).await?;
        if answer.status != 503 {
            let info = answer.is(200)?.json()?;
            let following = &info["following"];
            if following["status"] == "current" && following["version"].as_u64() >= Some(version) {
                return Ok(info);
            }
            if following["status"] == "failed" {
                bail!("{index} cannot follow: {following}");
            }
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn first(http: &Http, path: &str, search: &Value) -> Result<Value> {
    let found = post(http, path, "search", search).await?;
    Ok(found["results"][0]["id"].clone())
}
