//! Many clients of two processes ask for the same new texts at once.

use anyhow::Result;
use testbed::{Redis, RedisOptions};

use crate::embeddings::api::{self, Embedd};
use crate::embeddings::upstream::Upstream;
use crate::env::Env;
use crate::http::Connection;
use crate::report::Line;

const CLIENTS: usize = 100;
const TEXTS: usize = 50;

pub(super) async fn run(env: &Env) -> Result<Vec<Line>> {
    let redis = tokio::task::spawn_blocking(|| Redis::start(RedisOptions::default())).await??;
    let upstream = Upstream::distant().await?;
    let mut settings = upstream.settings();
    settings.push(format!("embedd.redis.urls=[\"{}\"]", redis.url()));
    let processes = [Embedd::start(env, &settings).await?, Embedd::start(env, &settings).await?];
    let mut asked = Vec::new();
    for round in 0..env.rounds {
        let texts: Vec<String> = (0..TEXTS).map(|n| format!("welder number {n} of round {round}")).collect();
        let before = upstream.counted();
        let clients = (0..CLIENTS).map(|client| ask(&processes[client % processes.len()], &texts, client));
        futures::future::try_join_all(clients).await?;
        let after = upstream.counted();
        asked.push((after.0 - before.0, after.1 - before.1));
    }
    for process in processes {
        process.server.stop().await?;
    }
    let what = format!("{CLIENTS} clients, {TEXTS} new texts at once, two processes, one Redis: texts computed");
    let once = asked.iter().all(|asked| *asked == (TEXTS, TEXTS as u64));
    let counts: Vec<String> = asked.iter().map(|(_, calls)| calls.to_string()).collect();
    Ok(vec![Line::holds(&what, once, format!("{} in {} rounds", counts.join(", "), asked.len()))])
}

/// All the texts in one request, beginning elsewhere for each client.
async fn ask(process: &Embedd, texts: &[String], client: usize) -> Result<()> {
    let mut order = texts.to_vec();
    order.rotate_left(client % TEXTS);
    Connection::open(process.address).await?.drain(api::embed(api::body(&order))?).await?;
    Ok(())
}
