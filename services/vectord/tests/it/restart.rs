//! What a restart finds: snapshots, logs, and damage to both.

use std::fs;
use std::path::{Path, PathBuf};

use kit::testing::TestServer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{PATIENCE, Process, is_loading, until};

const ITEMS: usize = 300;

async fn create(process: &Process, name: &str) {
    process.ok("", &json!({ "name": name, "dimension": 3, "distance": "l2" })).await;
}

/// Items that tell which round wrote them.
async fn add(process: &Process, name: &str, round: usize) {
    let items: Vec<Value> = (0..ITEMS)
        .map(
            |at| json!({ "id": format!("i-{at}"), "vector": [at, round, 1], "metadata": { "round": round, "at": at } }),
        )
        .collect();
    process.ok(&format!("/{name}/add"), &json!({ "items": items })).await;
}

/// Everything that is stored, and what a search finds.
async fn content(process: &Process, name: &str) -> (Value, Value) {
    let everything = json!({ "limit": 1000, "with_vector": true });
    let mut items = process.ok(&format!("/{name}/scroll"), &everything).await["items"].as_array().unwrap().clone();
    items.sort_by_key(|item| item["id"].as_str().unwrap().to_owned());
    let search = json!({ "vector": [17, 0, 0], "k": 20, "filter": { "at": { "$lt": 200 } } });
    (items.into(), process.ok(&format!("/{name}/search"), &search).await)
}

async fn stop(process: Process) {
    kill_process(Pid::from_raw(process.pid()).unwrap(), Signal::TERM).unwrap();
    process.ended().await;
}

/// The files of an index whose names begin so, the oldest first.
fn files(data: &Path, name: &str, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("indexes").join(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).collect();
    files.sort();
    files
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_clean_stop_and_a_kill_leave_the_same_content() {
    let data = tempdir().unwrap();
    let process = Process::start(data.path(), &[]).await;
    create(&process, "one").await;
    add(&process, "one", 1).await;
    process.ok("/one/delete", &json!({ "filter": { "at": { "$gte": 250 } } })).await;
    process.ok("/one/add", &json!({ "items": [{ "id": "i-3", "metadata": { "at": 3, "told": "later" } }] })).await;
    let before = content(&process, "one").await;
    assert_eq!(before.0.as_array().unwrap().len(), 250);
    process.kill().await;
    assert!(files(data.path(), "one", "snapshot").is_empty());

    let process = Process::start(data.path(), &[]).await;
    assert_eq!(content(&process, "one").await, before, "replayed");
    stop(process).await;
    assert_eq!(files(data.path(), "one", "snapshot").len(), 1, "the end takes a snapshot");

    let process = Process::start(data.path(), &[]).await;
    assert_eq!(content(&process, "one").await, before, "from the snapshot");
    let info = process.info("one").await;
    assert_eq!((&info["count"], info["last_snapshot"].is_string()), (&json!(250), true), "{info}");
}

#[tokio::test]
async fn a_damaged_snapshot_falls_back_to_the_one_before_it() {
    let data = tempdir().unwrap();
    let process = Process::start(data.path(), &[]).await;
    create(&process, "one").await;
    for round in 1..4 {
        add(&process, "one", round).await;
        process.ok("/one/snapshot", &json!({})).await;
    }
    add(&process, "one", 4).await;
    let before = content(&process, "one").await;
    process.kill().await;
    let snapshots = files(data.path(), "one", "snapshot");
    assert_eq!(snapshots.len(), 2, "two are kept");
    damage(&snapshots[1]);

    let process = Process::start(data.path(), &[]).await;
    assert_eq!(content(&process, "one").await, before);
}

#[tokio::test]
async fn a_torn_end_is_cut_and_damage_before_it_takes_no_other_index_along() {
    let data = tempdir().unwrap();
    let process = Process::start(data.path(), &[]).await;
    for name in ["torn", "damaged", "well"] {
        create(&process, name).await;
        add(&process, name, 1).await;
    }
    let before = content(&process, "torn").await;
    add(&process, "damaged", 2).await;
    let well = content(&process, "well").await;
    process.kill().await;
    let log = files(data.path(), "torn", "wal").pop().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    // Behind the last record, whatever space was made ready there.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(end);
    bytes.extend([7; 100]);
    fs::write(&log, bytes).unwrap();
    let log = files(data.path(), "damaged", "wal").pop().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&log, bytes).unwrap();

    let process = Process::start(data.path(), &[]).await;
    assert_eq!(content(&process, "torn").await, before);
    assert_eq!(content(&process, "well").await, well);
    let (status, problem) = loop {
        let answer = process.post("/damaged/count", &json!({})).await.unwrap();
        if !is_loading(&answer.1) {
            break answer;
        }
    };
    assert_eq!((status, problem["code"].as_str()), (503, Some("unavailable")), "{problem}");
    let told = problem["detail"].as_str().unwrap();
    assert!(told.contains("damaged at byte") && !told.contains('/'), "{told}");
    let health = process.base.replace("/v1/vectors/index", "/health");
    let health: Value = process.http.get(health).send().await.unwrap().json().await.unwrap();
    assert_eq!(health["components"]["index damaged"]["status"], "degraded", "{health}");
    // It can be taken away, and its name used again.
    let deleted = process.http.delete(format!("{}/damaged", process.base)).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    create(&process, "damaged").await;
    assert_eq!(process.ok("/damaged/count", &json!({})).await["count"], 0);
}

#[tokio::test]
async fn a_lost_folder_is_restored_from_storage_and_what_was_deleted_stays_away() {
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    let (data, objects) = (tempdir().unwrap(), tempdir().unwrap());
    let config = storaged::Config { data_dir: objects.path().join("o"), fsync: false, ..Default::default() };
    let storaged = TestServer::start(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
    let url = format!("vectord.storaged_url={}", storaged.url());
    let settings = [url.as_str(), "vectord.storage_snapshots=true"];
    let process = Process::start(data.path(), &settings).await;
    for name in ["kept", "gone"] {
        create(&process, name).await;
        add(&process, name, 1).await;
        process.ok(&format!("/{name}/snapshot"), &json!({})).await;
    }
    let stored = |name: &str| {
        let folder = objects.path().join("o");
        walk(&folder).into_iter().filter(|path| path.contains(&format!("_vectors+/{name}+/"))).count()
    };
    // The settings and the snapshot.
    until("two snapshots in storage", async || stored("kept") == 2 && stored("gone") == 2).await;
    let before = content(&process, "kept").await;
    let deleted = process.http.delete(format!("{}/gone", process.base)).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    until("what was deleted is deleted in storage", async || stored("gone") == 0).await;
    process.kill().await;
    fs::remove_dir_all(data.path()).unwrap();
    fs::create_dir(data.path()).unwrap();

    let process = Process::start(data.path(), &settings).await;
    let restored = async || process.post("/kept/count", &json!({})).await.unwrap().0 == 200;
    until("the index is restored from storage", restored).await;
    assert_eq!(content(&process, "kept").await, before);
    assert_eq!(process.post("/gone/count", &json!({})).await.unwrap().0, 404);
    // And it goes on from there.
    add(&process, "kept", 2).await;
    let before = content(&process, "kept").await;
    process.kill().await;
    let process = Process::start(data.path(), &settings).await;
    assert_eq!(content(&process, "kept").await, before);
}

fn walk(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    files
}

#[tokio::test]
async fn two_vectord_do_not_share_a_folder() {
    let data = tempdir().unwrap();
    let _first = Process::start(data.path(), &[]).await;
    let config = vectord::Config { data_dir: data.path().to_owned(), ..vectord::Config::default() };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let second = vectord::serve(config, listener, tokio_util::sync::CancellationToken::new());
    let refused = tokio::time::timeout(PATIENCE, second).await.expect("it does not serve").unwrap_err();
    assert!(refused.to_string().contains("data_dir"), "{refused}");
}
