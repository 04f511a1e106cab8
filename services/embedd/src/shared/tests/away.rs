//! Redis slow, gone, full, and back.

use super::*;

/// Twenty milliseconds, and three failures.
fn strict(redis: &Redis) -> RedisConfig {
    RedisConfig { timeout: RedisConfig::default().timeout, failures_max: 3, ..patient(redis) }
}

#[tokio::test]
async fn frozen_it_costs_three_requests_their_budget_and_the_next_ones_nothing() {
    let redis = start(RedisOptions::default());
    let watched = Watched::open(&strict(&redis)).await;
    let cache = &watched.cache;
    watched.eventually_says("ok", "").await;
    let known = keys(0..64);
    kept(cache, &known).await;
    let before = cache.figures().errors;

    redis.freeze().unwrap();
    let started = Instant::now();
    while cache.figures().available {
        let asked = Instant::now();
        assert_eq!(cache.get_many(&known, TTL).await, vec![None; 64]);
        assert!(asked.elapsed() < Duration::from_millis(500), "went on without it: {:?}", asked.elapsed());
        // The budget is spent: no second wait for the locks.
        let failed = cache.figures().errors;
        assert_eq!(cache.lease(&known).await.held, vec![true; 64]);
        assert_eq!(cache.figures().errors, failed, "not asked for locks");
    }
    // One PING of its own may have been among them.
    let errors = cache.figures().errors - before;
    assert!((3..=4).contains(&errors) && started.elapsed() >= Duration::from_millis(40), "{errors} errors");
    for _ in 0..200 {
        assert_eq!(cache.get_many(&known, TTL).await, vec![None; 64]);
        cache.lease(&known).await;
        cache.set_many(entries(&known[..1]), TTL, None);
    }
    assert_eq!(cache.figures().errors - before, errors, "nobody asked it again");
    watched.eventually_says("degraded", "no ").await;

    redis.thaw().unwrap();
    watched.eventually_says("ok", "").await;
    eventually("used again", async || cache.get_many(&known, TTL).await == expected(&known)).await;
}

#[tokio::test]
async fn killed_it_is_missed_even_if_nobody_asks_and_used_again_when_it_is_back() {
    let mut redis = start(RedisOptions::default());
    let watched = Watched::open(&patient(&redis)).await;
    watched.eventually_says("ok", "").await;
    let known = keys(0..3);
    kept(&watched.cache, &known).await;
    settled(&watched.cache, &redis).await;
    redis.kill();
    watched.eventually_says("degraded", "refused").await;
    assert_eq!(watched.cache.get_many(&known, TTL).await, vec![None; 3]);
    watched.cache.set_many(entries(&known), TTL, None);
    eventually("dropped", async || watched.cache.figures().dropped == 3).await;
    redis.restart().unwrap();
    watched.eventually_says("ok", "").await;
    assert_eq!(watched.cache.get_many(&known, TTL).await, vec![None; 3], "it has forgotten them");
    kept(&watched.cache, &known).await;
}

#[tokio::test]
async fn not_there_from_the_start_it_is_used_once_it_comes() {
    let mut redis = start(RedisOptions::default());
    redis.kill();
    let watched = Watched::open(&patient(&redis)).await;
    watched.eventually_says("degraded", "refused").await;
    assert!(!watched.cache.figures().available);
    redis.restart().unwrap();
    watched.eventually_says("ok", "").await;
    kept(&watched.cache, &keys(0..3)).await;
}

#[tokio::test]
async fn full_it_is_read_and_what_it_refuses_is_counted() {
    let redis = start(RedisOptions::default());
    let watched = Watched::open(&patient(&redis)).await;
    let cache = &watched.cache;
    watched.eventually_says("ok", "").await;
    let (old, new) = (keys(0..5), keys(5..9));
    kept(cache, &old).await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    cache.set_many(entries(&new), TTL, None);
    eventually("refused", async || cache.figures().dropped == 4).await;
    watched.eventually_says("degraded", "full").await;
    assert_eq!(cache.get_many(&old, TTL).await, expected(&old), "reads go on");
    assert_eq!(cache.lease(&new).await.held, vec![true; 4], "without locks, which it refuses too");
    assert_eq!(cache.figures().errors, 0, "it does what it can: not a failure");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    kept(cache, &new).await;
    watched.eventually_says("ok", "").await;
}

#[tokio::test]
async fn a_late_answer_to_one_request_is_not_the_next_ones() {
    let redis = start(RedisOptions::default());
    let config = RedisConfig { failures_max: 1_000, ..strict(&redis) };
    let cache = connected(&config).await;
    let (one, other) = (keys(0..40), keys(40..90));
    kept(&cache, &one).await;
    kept(&cache, &other).await;
    redis.freeze().unwrap();
    assert_eq!(cache.get_many(&one, TTL).await, vec![None; 40]);
    redis.thaw().unwrap();
    eventually("the right ones", async || {
        let found = cache.get_many(&other, TTL).await;
        assert!(found.iter().zip(expected(&other)).all(|(found, wanted)| found.is_none() || *found == wanted));
        found == expected(&other)
    })
    .await;
    assert_eq!(cache.figures().damaged, 0);
}
