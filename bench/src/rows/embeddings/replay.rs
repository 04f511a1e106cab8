//! A log of queries is asked again: what is found in memory, and what a remote model is asked for.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::embeddings::api::{self, Stats};
use crate::embeddings::log::{Log, found_at_best, found_by_lru};
use crate::embeddings::upstream::Upstream;
use crate::env::Env;
use crate::load::{self, Length};
use crate::platform::Platform;
use crate::report::{Line, Target, number};

/// Room for so many of the log's queries.
const SMALL_SHARE: usize = 20;

/// What came of one replay.
struct Replayed {
    stats: Stats,
    /// Texts that the upstream was asked for: different ones, and altogether.
    counted: (usize, u64),
}

pub(super) async fn run(env: &Env) -> Result<Vec<Line>> {
    let log = Log::load(env, env.sizes.replayed_queries).await?;
    let queries = log.queries.len();
    let small = queries / SMALL_SHARE;
    let (whole, little) = (replay(env, &log, queries).await?, replay(env, &log, small).await?);
    let share = |found: usize| found as f64 / queries as f64;
    let hits = |replayed: &Replayed| usize::try_from(replayed.stats.hits).map(share);
    let what = |size: usize| format!("replay of {queries} queries with room for {size} texts: hit rate");
    let (expected, found) = (share(log.repeats()), hits(&whole)?);
    let lru = share(found_by_lru(&log.queries, small));
    let best = share(found_at_best(&log.queries, small));
    let (asked, calls) = whole.counted;
    let rates = |rate: f64| number(100.0 * rate, "%");
    let small_found = hits(&little)?;
    Ok(vec![
        Line::holds(
            &format!("{}, against the share of queries that are repeats", what(queries)),
            whole.stats.hits as usize == log.repeats(),
            format!("{} and {}", rates(found), rates(expected)),
        ),
        Line::holds(
            "the same: texts that the remote model was asked for, against distinct texts",
            (asked, calls) == (log.texts.len(), log.texts.len() as u64),
            format!("{calls} and {}", log.texts.len()),
        ),
        Line::ratio(
            &format!("{}, against LRU simulated exactly", what(small)),
            rates(small_found),
            rates(lru),
            small_found / lru,
            Target::AtLeast(1.0),
        ),
        Line::figure(
            "the same, against what knows the future (Belady, simulated exactly)",
            rates(small_found),
            rates(best),
            Some(small_found / best),
        ),
    ])
}

/// One query after the other through the gateway.
async fn replay(env: &Env, log: &Log, room: usize) -> Result<Replayed> {
    let upstream = Upstream::start(Duration::ZERO).await?;
    let mut settings = upstream.settings();
    settings.push(format!("embedd.cache_size={room}"));
    let platform = Platform::start_with(env, &env.folder("data")?, &settings).await?;
    let query = |number: u64| {
        let text = &log.texts[log.queries[number as usize]];
        api::embed(api::body(std::slice::from_ref(text)))
    };
    load::run(platform.gateway, 1, Length::Requests(log.queries.len() as u64), &query).await?;
    let (stats, counted) = (api::stats(platform.gateway).await?, upstream.counted());
    ensure!(stats.misses == counted.1, "{} misses, and {} texts upstream", stats.misses, counted.1);
    platform.server.stop().await?;
    Ok(Replayed { stats, counted })
}
