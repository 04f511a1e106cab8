//! Following over the end of the process, whichever way it ends.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::lake::{Lake, follows};
use crate::process::{PATIENCE, Process, until};

const ROWS: usize = 6_000;
const BATCH: usize = 50;
/// Batches that may be with embedd, or on the way to the log, when the process ends.
const UNDER_WAY: usize = 4;

fn lines(rows: impl Iterator<Item = usize>, revision: usize) -> String {
    let line = |n: usize| {
        json!({ "id": format!("w-{n:05}"), "role": format!("role {n} {revision}"), "city": "Gary", "pay": n })
            .to_string()
    };
    rows.map(line).collect::<Vec<_>>().join("\n")
}

async fn start(lake: &Lake, data: &Path, more: &[&str]) -> Process {
    let batch = format!("vectord.follow_batch_rows={BATCH}");
    let mut settings = lake.settings();
    settings.extend([batch, "vectord.follow_page_rows=1000".into()]);
    settings.extend(more.iter().map(|&more| more.to_owned()));
    Process::start(data, &settings.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn following(process: &Process) -> Value {
    let answer = process.http.get(format!("{}/crew_idx", process.base)).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["following"].clone()
}

async fn current(process: &Process, version: u64) {
    let last = Instant::now() + PATIENCE;
    loop {
        let told = following(process).await;
        if (&told["status"], &told["version"]) == (&json!("current"), &json!(version)) {
            return;
        }
        assert!(Instant::now() < last, "not at version {version}: {told}");
        tokio::task::yield_now().await;
    }
}

/// Every item, by its id.
async fn items(process: &Process) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut page = json!({ "limit": 1000 });
    loop {
        let answer = process.ok("/crew_idx/scroll", &page).await;
        for item in answer["items"].as_array().unwrap() {
            found.push((item["id"].as_str().unwrap().to_owned(), item["metadata"]["pay"].as_u64().unwrap()));
        }
        if answer["next_cursor"].is_null() {
            found.sort();
            return found;
        }
        page["cursor"] = answer["next_cursor"].clone();
    }
}

fn expected(rows: impl Iterator<Item = usize>) -> Vec<(String, u64)> {
    rows.map(|n| (format!("w-{n:05}"), n as u64)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_goes_on_where_kill_9_ended_it() {
    let (lake, data) = (Lake::start().await, tempdir().unwrap());
    lake.ingest_lines("crew", "create", lines(0..ROWS, 1)).await;
    let mut process = start(&lake, data.path(), &[]).await;
    process.ok("", &follows("crew")).await;
    let mut kills = 0;
    let mut before = 0;
    for share in [1, 2, 3] {
        let enough = (ROWS * share / 4) as u64;
        until("some rows are done", async || following(&process).await["rows_done"].as_u64() >= Some(enough)).await;
        let found = process.ok("/crew_idx/search", &json!({ "text": "role 3 1 in Gary", "k": 1 })).await;
        assert_eq!(found["results"][0]["id"], "w-00003", "what is there is found while the rest comes");
        if following(&process).await["status"] == "current" {
            break;
        }
        process.kill().await;
        kills += 1;
        process = start(&lake, data.path(), &[]).await;
        until("it is loaded", async || following(&process).await.is_object()).await;
        let told = following(&process).await;
        assert!(told["rows_done"].as_u64().unwrap() >= enough.max(before), "{told}");
        before = told["rows_done"].as_u64().unwrap();
    }
    assert!(kills > 0, "it was killed in the midst of it");
    current(&process, 1).await;
    let searches = 3;
    let twice = lake.embedder.asked().await - searches - ROWS as u64;
    assert!(twice <= (kills * UNDER_WAY * BATCH) as u64, "{twice} rows were embedded again after {kills} kills");
    assert_eq!(items(&process).await, expected(0..ROWS));

    // The same in the midst of a difference.
    let changed = 1_000..ROWS + 1_000;
    let asked = lake.embedder.asked().await;
    lake.ingest_lines("crew", "replace", lines(changed.clone(), 2)).await;
    until("some rows are done", async || {
        let told = following(&process).await;
        told["target_version"] == 2 && told["rows_done"].as_u64() >= Some(2_000)
    })
    .await;
    process.kill().await;
    let process = start(&lake, data.path(), &[]).await;
    current(&process, 2).await;
    let twice = lake.embedder.asked().await - asked - ROWS as u64;
    assert!(twice <= (UNDER_WAY * BATCH) as u64, "{twice} rows were embedded again");
    assert_eq!(items(&process).await, expected(changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_versions_that_were_missed_the_newest_is_taken_whole() {
    let lake = Lake::with(|config| {
        config.versions_kept = 1;
        config.gc_every = Duration::from_millis(100);
        // Longer than an ingest takes, whose objects nothing names before its end.
        config.gc_grace = Duration::from_secs(5);
    })
    .await;
    let data = tempdir().unwrap();
    lake.ingest_lines("crew", "create", lines(0..300, 1)).await;
    let process = start(&lake, data.path(), &[]).await;
    process.ok("", &follows("crew")).await;
    current(&process, 1).await;
    process.kill().await;
    lake.ingest_lines("crew", "replace", lines(0..200, 2)).await;
    lake.ingest_lines("crew", "replace", lines(100..400, 3)).await;
    until("older versions are collected", async || lake.versions("crew").await == 1).await;

    let process = start(&lake, data.path(), &[]).await;
    current(&process, 3).await;
    assert_eq!(items(&process).await, expected(100..400), "what the version does not have is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_folder_costs_no_vector_that_storage_has() {
    let lake = Lake::start().await;
    let data = tempdir().unwrap();
    let storage = format!("vectord.storaged_url={}", lake.storaged.url());
    let more = [storage.as_str(), "vectord.storage_snapshots=true"];
    lake.ingest_lines("crew", "create", lines(0..300, 1)).await;
    let process = start(&lake, data.path(), &more).await;
    process.ok("", &follows("crew")).await;
    current(&process, 1).await;
    process.ok("/crew_idx/snapshot", &json!({})).await;
    let health = process.base.replace("/v1/vectors/index", "/health");
    until("the snapshot is in storage", async || {
        let told: Value = process.http.get(&health).send().await.unwrap().json().await.unwrap();
        told["components"]["snapshots in storage"]["detail"] == "as they are here"
    })
    .await;
    process.kill().await;
    std::fs::remove_dir_all(data.path()).unwrap();
    std::fs::create_dir(data.path()).unwrap();
    let asked = lake.embedder.asked().await;
    lake.ingest_lines("crew", "append", lines(300..310, 1)).await;

    let process = start(&lake, data.path(), &more).await;
    until("it is restored", async || following(&process).await.is_object()).await;
    current(&process, 2).await;
    assert_eq!(lake.embedder.asked().await - asked, 10, "the new rows alone");
    assert_eq!(items(&process).await, expected(0..310));
}
