//! Imports that outlive the service.

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::lake::Lake;
use crate::process::{Process, until};

const ROWS: u64 = 20_000;
const BATCH: u64 = 50;
/// Batches that may come again.
const UNCOUNTED: u64 = 16;

/// Adds rows to the dataset `crew`.
async fn ingest(lake: &Lake, mode: &str, rows: std::ops::Range<u64>) {
    let row = |n: u64| json!({ "id": format!("w-{n}"), "v": [n as f64, 0.5], "n": n }).to_string() + "\n";
    lake.ingest_lines("crew", mode, rows.map(row).collect()).await;
}

fn settings(lake: &Lake) -> Vec<String> {
    let mut settings = lake.settings();
    settings.push(format!("vectord.import_batch_items={BATCH}"));
    settings
}

async fn vectord(data: &TempDir, settings: &[String]) -> Process {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Process::start(data.path(), &settings).await
}

/// The imports into `crew` once it is loaded, the newest first.
async fn imports(process: &Process) -> Vec<Value> {
    let mut listed = Value::Null;
    until("the list", async || {
        let answer = process.http.get(format!("{}/crew/import", process.base)).send().await.unwrap();
        let loaded = answer.status() == 200;
        listed = answer.json().await.unwrap();
        loaded
    })
    .await;
    listed["imports"].as_array().unwrap().clone()
}

async fn until_ended(process: &Process) -> Vec<Value> {
    let mut listed = Vec::new();
    until("the end of the imports", async || {
        listed = imports(process).await;
        listed.iter().all(|import| !import["ended"].is_null())
    })
    .await;
    listed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_over_the_same_version() {
    let (lake, data) = (Lake::start().await, tempdir().unwrap());
    ingest(&lake, "create", 0..ROWS).await;
    let settings = settings(&lake);
    let process = vectord(&data, &settings).await;
    process.ok("", &json!({ "name": "crew", "dimension": 2, "distance": "l2" })).await;
    let asked = json!({ "dataset": "crew", "id_column": "id", "vector_column": "v", "metadata_columns": ["n"] });
    let begun = process.ok("/crew/import", &asked).await;
    let mut done = 0;
    until("some of the rows", async || {
        done = imports(&process).await[0]["rows_done"].as_u64().unwrap();
        done >= ROWS / 5
    })
    .await;
    process.kill().await;
    assert!(done < ROWS, "it was killed in the midst");
    // Not in the version that the import began with.
    ingest(&lake, "append", ROWS..ROWS + 500).await;

    let process = vectord(&data, &settings).await;
    let listed = until_ended(&process).await;
    let import = &listed[0];
    assert_eq!((listed.len(), &import["id"], &import["status"]), (1, &begun["id"], &json!("done")), "{import}");
    assert_eq!((&import["rows_done"], &import["rows_total"]), (&json!(ROWS), &json!(ROWS)), "{import}");
    let (added, updated) = (import["added"].as_u64().unwrap(), import["updated"].as_u64().unwrap());
    assert_eq!(added + updated, ROWS, "{import}");
    assert!(updated <= UNCOUNTED * BATCH, "only what was not counted yet comes again: {import}");
    assert_eq!(process.info("crew").await["count"], ROWS);
    let found = process.ok("/crew/search", &json!({ "vector": [17, 0.5], "k": 1 })).await;
    assert_eq!(found["results"][0]["metadata"], json!({ "n": 17 }));
    process.kill().await;

    let process = vectord(&data, &settings).await;
    assert_eq!(imports(&process).await, listed, "what has ended is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cuts_imports_off_and_peers_may_come_later() {
    let (lake, data) = (Lake::start().await, tempdir().unwrap());
    ingest(&lake, "create", 0..ROWS).await;
    let settings = settings(&lake);
    let process = vectord(&data, &settings).await;
    process.ok("", &json!({ "name": "crew", "dimension": 2, "distance": "l2" })).await;
    let asked = json!({ "dataset": "crew", "id_column": "id", "vector_column": "v" });
    process.ok("/crew/import", &asked).await;
    until("the first rows", async || imports(&process).await[0]["rows_done"].as_u64().unwrap() > 0).await;
    let pid = rustix::process::Pid::from_raw(process.pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    process.ended().await;

    // Nobody listens there.
    let mut away = settings.clone();
    away.push("vectord.queryd_url=http://127.0.0.1:9".to_owned());
    let process = vectord(&data, &away).await;
    let listed = imports(&process).await;
    assert_eq!((&listed[0]["ended"], &listed[0]["rows_total"]), (&Value::Null, &json!(ROWS)), "{listed:?}");
    process.kill().await;

    let process = vectord(&data, &settings).await;
    let listed = until_ended(&process).await;
    assert_eq!((&listed[0]["status"], &listed[0]["rows_done"]), (&json!("done"), &json!(ROWS)), "{listed:?}");
    assert_eq!(listed[0]["updated"], 0, "a stop counts what it has done");
    assert_eq!(process.info("crew").await["count"], ROWS);
}
