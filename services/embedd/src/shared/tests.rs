//! The second tier against the real server.

mod away;
mod entries;
mod locks;
mod ways;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kit::Health;
use kit::server::{HttpConfig, Service};
use kit::testing::TestServer;
use sha2::{Digest, Sha256};
use testbed::{Redis, RedisOptions};
use tokio::time::Instant;

use super::{RedisCache, SharedCache, name};
use crate::config::RedisConfig;
use crate::embedding::{Embedding, Fingerprint, Key};

/// Longer than anything takes here that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);
const TTL: Duration = Duration::from_secs(1_000);

fn keys(numbers: std::ops::Range<u32>) -> Vec<Key> {
    let key = |n: u32| Key { model: Fingerprint([5; 32]), text: Sha256::digest(n.to_le_bytes()).into() };
    numbers.map(key).collect()
}

fn entries(keys: &[Key]) -> Vec<(Key, Embedding)> {
    let entry = |key: &Key| {
        let numbers = (0..384).map(|n| f32::from(key.text[n % 32]) / 256.0 - 0.5 + n as f32 / 4096.0);
        Embedding { tokens: 7, vector: numbers.collect() }
    };
    keys.iter().map(|key| (*key, entry(key))).collect()
}

fn expected(keys: &[Key]) -> Vec<Option<Embedding>> {
    entries(keys).into_iter().map(|(_, entry)| Some(entry)).collect()
}

fn start(options: RedisOptions) -> Redis {
    Redis::start(options).unwrap()
}

/// So much time that a busy machine does not matter.
fn patient(redis: &Redis) -> RedisConfig {
    RedisConfig {
        urls: vec![redis.url()],
        timeout: PATIENCE,
        write_timeout: PATIENCE,
        pause_min: Duration::from_millis(10),
        pause_max: Duration::from_millis(100),
        ..RedisConfig::default()
    }
}

async fn connected(config: &RedisConfig) -> RedisCache {
    let cache = RedisCache::open(config, &Health::new()).unwrap();
    eventually("connected", async || cache.is_whole()).await;
    cache
}

/// Has them written and waits until they are there.
async fn kept(cache: &RedisCache, keys: &[Key]) {
    cache.set_many(entries(keys), TTL, None);
    eventually("written", async || cache.get_many(keys, TTL).await.iter().all(Option::is_some)).await;
}

/// Until all that was asked for behind the answers so far is done: it is done in order.
async fn settled(cache: &RedisCache, redis: &Redis) {
    let last = keys(99_999..100_000);
    cache.set_many(entries(&last), TTL, None);
    let last = name::entry(&last[0]);
    eventually("written", async || redis.ask(&["EXISTS", &last]).unwrap() == "1").await;
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The cache's health, read the way that everybody reads it.
struct Watched {
    cache: RedisCache,
    server: TestServer,
}

impl Watched {
    async fn open(config: &RedisConfig) -> Self {
        let health = Health::new();
        let service = Service {
            name: "embedd",
            router: axum::Router::new(),
            openapi: utoipa::openapi::OpenApi::default(),
            health: health.clone(),
            registry: prometheus_client::registry::Registry::default(),
            http: HttpConfig::default(),
        };
        let cache = RedisCache::open(config, &health).unwrap();
        let server = TestServer::start(|listener, shutdown| kit::server::run(service, listener, shutdown)).await;
        Watched { cache, server }
    }

    /// What is said of a component: its status and the reason.
    fn says<'a>(&'a self, component: &'a str) -> BoxFuture<'a, (String, String)> {
        async move {
            let answer = reqwest::get(self.server.url().join("health").unwrap()).await.unwrap();
            let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            let found = &body["components"][component];
            let word = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
            (word("status"), word("detail"))
        }
        .boxed()
    }

    async fn eventually_says(&self, status: &str, reason: &str) {
        let told = async || {
            let (told, detail) = self.says("redis").await;
            told == status && detail.contains(reason)
        };
        eventually(&format!("health says {status}: {reason}"), told).await;
    }
}
