//! Several processes and one Redis.

use std::time::{Duration, Instant};

use embedd::{Config, ProviderKind};
use futures::future::join_all;
use serde_json::{Value, json};
use testbed::{Redis, RedisOptions};

use crate::platform::{Platform, vector};
use crate::upstream::{Fault, Upstream, numbers};

fn use_redis(config: &mut Config, redis: &Redis) {
    config.redis.urls = vec![redis.url()];
    // A busy machine is no reason to go on without it in a test.
    config.redis.timeout = Duration::from_secs(5);
}

async fn on(upstream: &Upstream, redis: &Redis) -> Platform {
    let platform = Platform::on(upstream, ProviderKind::Openai, |config| use_redis(config, redis)).await;
    until_available(&platform).await;
    platform
}

/// It connects in the background.
async fn until_available(platform: &Platform) {
    while platform.stats().await["shared"]["available"] != true {}
}

/// Vectors are written behind the answers.
fn kept(redis: &Redis, vectors: usize) {
    let count = || redis.ask(&["EVAL", "return #redis.call('KEYS', 'emb:*')", "0"]).unwrap().parse::<usize>().unwrap();
    while count() < vectors {}
}

fn found(answer: &Value) -> Vec<Vec<f32>> {
    answer["vectors"].as_array().unwrap().iter().map(vector).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_has_computed_the_other_has_too() {
    let (upstream, redis) = (Upstream::start().await, Redis::start(RedisOptions::default()).unwrap());
    let (first, second) = (on(&upstream, &redis).await, on(&upstream, &redis).await);
    let computed = first.embed(&["a", "b"]).await;
    kept(&redis, 2);
    let shared = second.embed(&["b", "c", "a"]).await;
    assert_eq!(found(&shared), ["b", "c", "a"].map(numbers));
    assert_eq!((&computed["cached"], &shared["cached"]), (&json!(0), &json!(2)));
    assert_eq!(upstream.calls(), [vec!["a", "b"], vec!["c"]]);
    let stats = second.stats().await;
    assert_eq!(
        (&stats["tiers"]["shared"]["texts"], &stats["misses"], &stats["size"]),
        (&json!(2), &json!(1), &json!(3))
    );
    second.embed(&["a"]).await;
    assert_eq!(second.stats().await["tiers"]["memory"]["texts"], 1, "it was taken into memory");
    let tokens = (&computed["tokens"], &second.embed(&["a", "b"]).await["tokens"]);
    assert_eq!(tokens, (&json!(6), &json!(6)), "tokens are kept with the vector");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_of_two_processes_make_fifty_computations() {
    let (upstream, redis) = (Upstream::start().await, Redis::start(RedisOptions::default()).unwrap());
    let processes = [on(&upstream, &redis).await, on(&upstream, &redis).await];
    let texts: Vec<String> = (0..50).map(|n| format!("text {n:02}")).collect();
    let asked = |n: usize| {
        let (mut order, platform) = (texts.clone(), &processes[n % 2]);
        order.rotate_left(n % 50);
        async move { (order.clone(), platform.done("v1/embed", json!({ "texts": order })).await) }
    };
    for (order, answer) in join_all((0..100).map(asked)).await {
        assert_eq!(found(&answer), order.iter().map(|text| numbers(text)).collect::<Vec<_>>());
    }
    assert_eq!(upstream.texts(), texts, "each of them, and each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_fails_lets_go() {
    let (upstream, redis) = (Upstream::start().await, Redis::start(RedisOptions::default()).unwrap());
    let (first, second) = (on(&upstream, &redis).await, on(&upstream, &redis).await);
    upstream.fail([Fault::Status(500, None, "")]);
    let began = Instant::now();
    first.refused("v1/embed", json!({ "texts": ["a"] }), 502).await;
    assert_eq!(found(&second.embed(&["a"]).await), [numbers("a")]);
    assert!(began.elapsed() < Duration::from_secs(5), "the lock was given back, not waited out");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_everything_goes_on_and_with_it_again_it_is_used() {
    let (upstream, mut redis) = (Upstream::start().await, Redis::start(RedisOptions::default()).unwrap());
    let platform = on(&upstream, &redis).await;
    redis.kill();
    assert_eq!(found(&platform.embed(&["a"]).await), [numbers("a")]);
    loop {
        platform.embed(&["b"]).await;
        let health = platform.get("health").await;
        if health["components"]["redis"]["status"] == "degraded" {
            break;
        }
    }
    redis.restart().unwrap();
    until_available(&platform).await;
    platform.embed(&["c"]).await;
    kept(&redis, 1);
}
