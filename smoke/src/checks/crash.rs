//! `kill -9` while writers write: what was acknowledged is there, and nothing is there in half.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::meaning::{begin, followed, hire};
use crate::context::Context;
use crate::data::noise;
use crate::http::Http;

const ROUNDS: usize = 5;
const BATCH_ROWS: usize = 100;
const CREATED_ROWS: u64 = 50;

/// What was begun, and whether it was acknowledged.
#[derive(Default)]
struct Ledger {
    /// By key; the seed and the length of the bytes.
    objects: BTreeMap<String, (bool, u64, usize)>,
    /// Rows appended to one dataset, by the number of their batch.
    batches: BTreeMap<u64, bool>,
    created: BTreeMap<String, bool>,
    next: u64,
}

#[derive(Clone, Default)]
struct Shared {
    ledger: Arc<Mutex<Ledger>>,
    acknowledged: Arc<AtomicUsize>,
    progress: Arc<Notify>,
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        change(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn number(&self) -> u64 {
        self.with(|ledger| {
            ledger.next += 1;
            ledger.next
        })
    }

    fn acknowledged(&self, change: impl FnOnce(&mut Ledger)) {
        self.with(change);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.progress.notify_one();
    }

    async fn wait_for(&self, acknowledged: usize) {
        while self.acknowledged.load(Ordering::Relaxed) < acknowledged {
            self.progress.notified().await;
        }
    }
}

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let (appended, prefix, created) = (context.name("appended"), context.name("crash"), context.name("created"));
    context.http.ingest(&appended, "", "batch,n\n-1,0\n").await?.is(201)?;
    let (crew, crew_index) = (context.name("crash_crew"), context.name("crash_crew_idx"));
    begin(&context.http, &crew, &crew_index).await?;
    let shared = Shared::default();
    for round in 0..ROUNDS {
        let mut writers = JoinSet::new();
        for _ in 0..2 {
            writers.spawn(put_objects(context.http.clone(), prefix.clone(), shared.clone()));
            writers.spawn(append(context.http.clone(), appended.clone(), shared.clone()));
        }
        writers.spawn(create(context.http.clone(), created.clone(), shared.clone()));
        // Another moment each time, and always one with writes under way.
        let until = shared.acknowledged.load(Ordering::Relaxed) + 7 + 11 * round;
        tokio::select! {
            () = shared.wait_for(until) => {}
            Some(ended) = writers.join_next() => { ended??; bail!("a writer ended by itself"); }
        }
        // The index may be anywhere on the way to this version, or not have heard of it.
        hire(&context.http, &crew, 100 + round, "welder").await?;
        context.kill().await?;
        writers.shutdown().await;
        context.launch().await?;
        let verified = verify(&context.http, &appended, &prefix, &shared).await;
        verified.with_context(|| format!("after kill -9 number {}", round + 1))?;
    }
    let index = followed(&context.http, &crew_index, 1 + ROUNDS as u64).await?;
    ensure!(index["count"] == 4 + ROUNDS, "rows of the dataset are lost, or there twice: {index}");
    Ok(())
}

/// Writes until the platform is gone; a refusal while it is there is an error.
async fn put_objects(http: Http, prefix: String, shared: Shared) -> Result<()> {
    loop {
        let seed = shared.number();
        let length = 1 + (seed as usize * 7_919) % 300_000;
        let key = format!("{prefix}/{seed}");
        shared.with(|ledger| ledger.objects.insert(key.clone(), (false, seed, length)));
        let Ok(answer) = http.put(&format!("/v1/storage/{key}"), noise(seed, length)).await else {
            return gone().await;
        };
        match answer.status {
            200 | 201 => shared.acknowledged(|ledger| {
                ledger.objects.insert(key, (true, seed, length));
            }),
            502..=504 => return gone().await,
            status => bail!("PUT: {status} {}", answer.text()),
        }
    }
}

async fn append(http: Http, dataset: String, shared: Shared) -> Result<()> {
    loop {
        let batch = shared.number();
        shared.with(|ledger| ledger.batches.insert(batch, false));
        let rows: String = (0..BATCH_ROWS).map(|n| format!("{batch},{n}\n")).collect();
        let Ok(answer) = http.ingest(&dataset, "mode=append", format!("batch,n\n{rows}")).await else {
            return gone().await;
        };
        match answer.status {
            200 => shared.acknowledged(|ledger| {
                ledger.batches.insert(batch, true);
            }),
            502..=504 => return gone().await,
            status => bail!("append: {status} {}", answer.text()),
        }
    }
}

async fn create(http: Http, prefix: String, shared: Shared) -> Result<()> {
    loop {
        let name = format!("{prefix}_{}", shared.number());
        shared.with(|ledger| ledger.created.insert(name.clone(), false));
        let rows: String = (0..CREATED_ROWS).map(|n| format!("{n}\n")).collect();
        let Ok(answer) = http.ingest(&name, "mode=create", format!("n\n{rows}")).await else {
            return gone().await;
        };
        match answer.status {
            201 => shared.acknowledged(|ledger| {
                ledger.created.insert(name, true);
            }),
            502..=504 => return gone().await,
            status => bail!("create: {status} {}", answer.text()),
        }
    }
}

/// The platform was killed under this writer: it waits to be ended, too.
async fn gone() -> Result<()> {
    std::future::pending().await
}

async fn verify(http: &Http, appended: &str, prefix: &str, shared: &Shared) -> Result<()> {
    let (objects, batches, created) =
        shared.with(|ledger| (ledger.objects.clone(), ledger.batches.clone(), ledger.created.clone()));
    for (key, (acknowledged, seed, length)) in &objects {
        let answer = http.get(&format!("/v1/storage/{key}")).await?;
        match answer.status {
            200 => ensure!(answer.body == noise(*seed, *length), "{key} holds other bytes than were put"),
            404 => ensure!(!acknowledged, "{key} was acknowledged and is lost"),
            status => bail!("{key}: {status}"),
        }
    }
    listed(http, prefix, &objects.into_keys().collect()).await?;
    for row in http
        .rows(&format!("SELECT batch, count(*), count(DISTINCT n) FROM {appended} WHERE batch >= 0 GROUP BY batch"))
        .await?
    {
        ensure!(row[1] == BATCH_ROWS && row[2] == BATCH_ROWS, "batch {} is there in part or twice: {row}", row[0]);
    }
    let kept: BTreeSet<u64> = http
        .rows(&format!("SELECT DISTINCT batch FROM {appended}"))
        .await?
        .iter()
        .filter_map(|row| row[0].as_u64())
        .collect();
    let lost: Vec<&u64> = batches
        .iter()
        .filter(|(batch, acknowledged)| **acknowledged && !kept.contains(batch))
        .map(|(b, _)| b)
        .collect();
    ensure!(lost.is_empty(), "batches {lost:?} were acknowledged and are lost");
    for (name, acknowledged) in &created {
        let sql = format!("SELECT count(*) FROM {name}");
        let answer = http.post_json("/v1/sql", &json!({ "sql": sql })).await?;
        match answer.status {
            200 => ensure!(answer.json()?["rows"] == json!([[CREATED_ROWS]]), "{name} is there in part"),
            400 | 404 => ensure!(!acknowledged, "{name} was acknowledged and is lost"),
            status => bail!("{name}: {status}"),
        }
    }
    Ok(())
}

/// No key is listed that nobody wrote: temporary files are nobody's objects.
async fn listed(http: &Http, prefix: &str, begun: &BTreeSet<String>) -> Result<()> {
    let mut cursor = String::new();
    loop {
        let page = http.get(&format!("/v1/storage?prefix={prefix}&cursor={cursor}")).await?.is(200)?.json()?;
        for object in page["objects"].as_array().into_iter().flatten() {
            let key = object["key"].as_str().unwrap_or_default();
            ensure!(begun.contains(key), "{key} is listed and was never put");
        }
        match page["next_cursor"].as_str() {
            Some(next) if !next.is_empty() => cursor = next.to_owned(),
            _ => return Ok(()),
        }
    }
}
