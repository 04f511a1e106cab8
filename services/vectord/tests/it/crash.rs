//! `kill -9` while writers write: what was acknowledged is there, and no batch is there in half.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::process::Process;

const ROUNDS: usize = 50;
const WRITERS: u64 = 4;
const BATCH_ITEMS: u64 = 20;
/// Small, so that segments end and snapshots are taken between the kills.
const SETTINGS: [&str; 2] = ["vectord.log_segment_bytes=1048576", "vectord.snapshot_after_bytes=1048576"];
const DIMENSION: usize = 64;

/// What is known of a batch: its items carry the revision that wrote them.
#[derive(Clone, Copy, Default)]
struct Batch {
    /// The last revision that was acknowledged; 0 is a batch that is not there.
    acknowledged: u64,
    /// One that was sent and may be there instead.
    sent: Option<u64>,
}

#[derive(Default)]
struct Ledger {
    batches: Mutex<BTreeMap<u64, Batch>>,
    revision: AtomicU64,
    acknowledged: AtomicUsize,
    progress: Notify,
}

impl Ledger {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<u64, Batch>) -> T) -> T {
        work(&mut self.batches.lock().unwrap())
    }

    fn acknowledge(&self, batch: u64, revision: u64) {
        self.with(|all| all.insert(batch, Batch { acknowledged: revision, sent: None }));
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.progress.notify_one();
    }
}

/// The same numbers for the same item and revision.
fn vector(item: u64, revision: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(item * 1_000_003 + revision);
    (0..DIMENSION).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn item(batch: u64, at: u64, revision: u64) -> Value {
    let number = batch * BATCH_ITEMS + at;
    json!({
        "id": format!("i-{number}"),
        "vector": vector(number, revision),
        "metadata": { "batch": batch, "revision": revision },
    })
}

/// Adds, replaces or deletes batches of its own until the process is gone.
async fn write(process: Arc<Process>, ledger: Arc<Ledger>, writer: u64, mut random: StdRng) {
    loop {
        let batch = random.random_range(0..40) * WRITERS + writer;
        let there = ledger.with(|all| all.get(&batch).copied().unwrap_or_default().acknowledged > 0);
        let deletes = there && random.random_range(0..3) == 0;
        let revision = if deletes { 0 } else { ledger.revision.fetch_add(1, Ordering::Relaxed) + 1 };
        ledger.with(|all| all.entry(batch).or_default().sent = Some(revision));
        let answer = if deletes && random.random_range(0..2) == 0 {
            process.post("/crash/delete", &json!({ "filter": { "batch": batch } })).await
        } else if deletes {
            let ids: Vec<String> = (0..BATCH_ITEMS).map(|at| format!("i-{}", batch * BATCH_ITEMS + at)).collect();
            process.post("/crash/delete", &json!({ "ids": ids })).await
        } else {
            let items: Vec<Value> = (0..BATCH_ITEMS).map(|at| item(batch, at, revision)).collect();
            process.post("/crash/add", &json!({ "items": items })).await
        };
        match answer {
            Ok((200, _)) => ledger.acknowledge(batch, revision),
            Ok(other) => panic!("{other:?}"),
            Err(_) => return,
        }
    }
}

/// Looks every batch up: as acknowledged, or as what was sent last, and nothing between.
async fn check(process: &Process, ledger: &Ledger) {
    let mut count = 0;
    for (batch, known) in ledger.with(|all| all.clone()) {
        let scroll = json!({ "filter": { "batch": batch }, "with_vector": true });
        let items = process.ok("/crash/scroll", &scroll).await["items"].as_array().unwrap().clone();
        let revisions: Vec<u64> = items.iter().map(|item| item["metadata"]["revision"].as_u64().unwrap()).collect();
        let revision = revisions.first().copied().unwrap_or(0);
        assert!(revisions.iter().all(|other| *other == revision), "batch {batch} is mixed: {revisions:?}");
        assert_eq!(items.len() as u64, if revision == 0 { 0 } else { BATCH_ITEMS }, "batch {batch} is there in half");
        assert!(
            revision == known.acknowledged || Some(revision) == known.sent,
            "batch {batch} is at {revision}; acknowledged {}, sent {:?}",
            known.acknowledged,
            known.sent
        );
        for item in &items {
            let number: u64 = item["id"].as_str().unwrap()[2..].parse().unwrap();
            let stored: Vec<f32> = serde_json::from_value(item["vector"].clone()).unwrap();
            assert_eq!(stored, vector(number, revision), "item {number}");
        }
        count += items.len();
        // What is there now is what the next round begins with.
        ledger.with(|all| all.insert(batch, Batch { acknowledged: revision, sent: None }));
    }
    assert_eq!(process.ok("/crash/count", &json!({})).await["count"], count, "something is there that nobody sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_fifty_kills() {
    let data = tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let mut random = StdRng::seed_from_u64(rand::rng().next_u64());
    let mut process = Process::start(data.path(), &SETTINGS).await;
    process.ok("", &json!({ "name": "crash", "dimension": DIMENSION, "distance": "l2", "m": 8 })).await;
    for round in 0..ROUNDS {
        let running = Arc::new(process);
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let random = StdRng::seed_from_u64(random.next_u64());
            writers.spawn(write(running.clone(), ledger.clone(), writer, random));
        }
        let enough = ledger.acknowledged.load(Ordering::Relaxed) + random.random_range(1..60);
        while ledger.acknowledged.load(Ordering::Relaxed) < enough {
            ledger.progress.notified().await;
        }
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(running.pid()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        writers.join_all().await;
        Arc::into_inner(running).unwrap().kill().await;
        process = Process::start(data.path(), &SETTINGS).await;
        check(&process, &ledger).await;
        assert!(ledger.acknowledged.load(Ordering::Relaxed) >= enough, "round {round}");
    }
}
