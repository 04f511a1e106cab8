//! After a 2xx the very next statement sees it, whoever else reads and writes.

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use serde_json::json;

use crate::context::Context;
use crate::http::Http;

const WRITERS: u64 = 4;
const WRITES: u64 = 12;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let http = &context.http;
    let writers = (0..WRITERS).map(|writer| alone(http, context.name(&format!("fresh_{writer}"))));
    try_join_all(writers).await?;
    together(http, &context.name("fresh_shared")).await.context("several writers of one dataset")?;
    one_snapshot(http, &context.name("fresh_snapshot")).await.context("a statement reads one snapshot")
}

/// One dataset from its creation to its end, each step followed by a look.
async fn alone(http: &Http, name: String) -> Result<()> {
    http.ingest(&name, "mode=create", "id\n0\n").await?.is(201)?;
    for written in 1..WRITES {
        ensure!(http.count(&name).await? == written, "an append was not seen");
        http.ingest(&name, "mode=append", format!("id\n{written}\n")).await?.is(200)?;
    }
    http.ingest(&name, "mode=replace", "id\n77\n").await?.is(200)?;
    ensure!(http.rows(&format!("SELECT id FROM {name}")).await? == [json!([77])], "a replace was not seen");
    http.delete(&format!("/v1/catalog/datasets/{name}")).await?.is(204)?;
    let gone = http.post_json("/v1/sql", &json!({ "sql": format!("SELECT * FROM {name}") })).await?;
    ensure!(matches!(gone.status, 400 | 404), "a delete was not seen: {}", gone.status);
    http.ingest(&name, "mode=create", "other\nx\n").await?.is(201)?;
    ensure!(http.rows(&format!("SELECT other FROM {name}")).await? == [json!(["x"])], "a new schema was not seen");
    Ok(())
}

/// Each sees its own rows at once, and none is lost.
async fn together(http: &Http, name: &str) -> Result<()> {
    http.ingest(name, "mode=create", "writer,n\n-1,0\n").await?.is(201)?;
    let writer = |writer: u64| async move {
        for n in 0..WRITES {
            http.ingest(name, "mode=append", format!("writer,n\n{writer},{n}\n")).await?.is(200)?;
            let seen = http.value(&format!("SELECT count(*) FROM {name} WHERE writer = {writer}")).await?;
            ensure!(seen == n + 1, "writer {writer} sees {seen} of its {} rows", n + 1);
        }
        Ok(())
    };
    try_join_all((0..WRITERS).map(writer)).await?;
    ensure!(http.count(name).await? == 1 + WRITERS * WRITES, "rows were lost");
    Ok(())
}

/// While rows are added, two looks within one statement see the same.
async fn one_snapshot(http: &Http, name: &str) -> Result<()> {
    http.ingest(name, "mode=create", "id\n0\n").await?.is(201)?;
    let writer = async {
        for n in 0..WRITES {
            http.ingest(name, "mode=append", format!("id\n{n}\n")).await?.is(200)?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let reader = async {
        let sql = format!("SELECT (SELECT count(*) FROM {name}) = (SELECT count(*) FROM {name} WHERE id >= 0)");
        loop {
            if http.value(&sql).await? != json!(true) {
                bail!("one statement saw two states");
            }
        }
    };
    tokio::select! {
        written = writer => written,
        stopped = reader => stopped,
    }
}
