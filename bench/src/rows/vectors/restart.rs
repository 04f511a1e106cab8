//! From the start of the process until a search over an index that was there is answered.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::env::Env;
use crate::http::Connection;
use crate::platform::Platform;
use crate::report::{Line, Target};
use crate::stats;
use crate::vectors::api::{Index, searches};
use crate::vectors::{BATCH, Set, batches};

const NAME: &str = "kept";
const DIMENSION: usize = 128;
const EF: usize = 64;
const SECONDS_MAX: f64 = 10.0;
/// Fewer than the service takes without refusing (`unindexed_items_max`).
const AHEAD_MAX: usize = 150_000;
const POLL_EVERY: Duration = Duration::from_millis(5);

pub(super) async fn run(env: &Env) -> Result<Vec<Line>> {
    let set = Set::load(env, env.sizes.kept_vectors, DIMENSION).await?;
    let folder = env.folder("data")?;
    let platform = Platform::start(env, &folder).await?;
    let index = Index::create(platform.gateway, NAME, DIMENSION).await?;
    let mut connection = Connection::open(platform.gateway).await?;
    for (number, rows) in set.batches(BATCH).enumerate() {
        if number % 10 == 0 {
            index.unindexed_at_most(AHEAD_MAX).await?;
        }
        let body = batches::arrow(&set, &Vec::from_iter(rows), &|_| None)?;
        connection.drain(index.add_arrow(body)?).await?;
    }
    index.unindexed_at_most(0).await?;
    index.act("snapshot").await?;
    let recall = index.recall(&set, EF).await?;
    platform.server.stop().await?;

    let (mut seconds, mut recalls) = (Vec::new(), Vec::new());
    for _ in 0..env.rounds {
        let started = Instant::now();
        let mut platform = Platform::launch(env, &folder).await?;
        let index = Index::named(platform.gateway, NAME);
        let search = searches(&set, EF, None, true)?.swap_remove(0);
        let gateway = platform.gateway;
        platform.server.answers(gateway, &|| index.search(search.clone()), POLL_EVERY).await?;
        seconds.push(started.elapsed().as_secs_f64());
        let info = index.info().await?;
        ensure!(info.count == set.len(), "{} items came back", info.count);
        recalls.push(index.recall(&set, EF).await?);
        platform.server.stop().await?;
    }
    let what = |what: &str| format!("restart with {} × {DIMENSION}: {what}", set.len());
    let lost = recall - stats::median(&recalls);
    Ok(vec![
        Line::absolute(&what("a search is answered"), stats::median(&seconds), "s", Target::AtMost(SECONDS_MAX)),
        Line::absolute(&what("recall lost"), lost, "", Target::AtMost(0.001)),
    ])
}
