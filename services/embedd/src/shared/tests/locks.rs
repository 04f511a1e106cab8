//! One process computes, the others wait: for its entry, or for its end.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

async fn both(redis: &Redis) -> (RedisCache, RedisCache) {
    (connected(&patient(redis)).await, connected(&patient(redis)).await)
}

fn is_locked(redis: &Redis, key: &Key) -> bool {
    redis.ask(&["EXISTS", &name::lock(&name::entry(key))]).unwrap() == "1"
}

#[tokio::test]
async fn what_one_computes_the_other_waits_for() {
    let redis = start(RedisOptions::default());
    let (one, other) = both(&redis).await;
    let asked = keys(0..300);
    let lease = one.lease(&asked[..250]).await;
    assert_eq!(lease.held, vec![true; 250]);
    let rest = other.lease(&asked).await;
    assert_eq!(rest.held, [vec![false; 250], vec![true; 50]].concat());
    let waiting = other.wait_many(&asked[..250], Instant::now() + PATIENCE);
    let computing = async { one.set_many(entries(&asked[..250]), TTL, Some(lease)) };
    let (found, ()) = tokio::join!(waiting, computing);
    assert_eq!(found, expected(&asked[..250]));
    assert_eq!(other.figures().waits, 250);
    eventually("let go of", async || !is_locked(&redis, &asked[0])).await;
    assert!(is_locked(&redis, &asked[299]), "held by the other");
    drop(rest);
    eventually("let go of", async || !is_locked(&redis, &asked[299])).await;
}

#[tokio::test]
async fn an_entry_that_came_before_the_lock_is_not_computed_again() {
    let redis = start(RedisOptions::default());
    let (one, other) = both(&redis).await;
    let asked = keys(0..5);
    assert_eq!(other.get_many(&asked, TTL).await, vec![None; 5]);
    kept(&one, &asked).await;
    let lease = other.lease(&asked).await;
    assert_eq!(lease.held, vec![false; 5]);
    assert_eq!(other.wait_many(&asked, Instant::now() + PATIENCE).await, expected(&asked));
    eventually("let go of", async || !is_locked(&redis, &asked[0])).await;
}

#[tokio::test]
async fn a_holder_that_gives_up_is_not_waited_for() {
    let redis = start(RedisOptions::default());
    let config = RedisConfig { lock_ttl: PATIENCE * 10, ..patient(&redis) };
    let (one, other) = (connected(&config).await, connected(&config).await);
    let asked = keys(0..5);
    let lease = one.lease(&asked).await;
    assert_eq!(other.lease(&asked).await.held, vec![false; 5]);
    let started = Instant::now();
    let giving_up = async { drop(lease) };
    let (found, ()) = tokio::join!(other.wait_many(&asked, started + PATIENCE), giving_up);
    assert_eq!(found, vec![None; 5]);
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn waits_end_at_their_deadline_and_are_bounded() {
    let redis = start(RedisOptions::default());
    let (one, _) = both(&redis).await;
    let bounded = connected(&RedisConfig { waits_max: 1, ..patient(&redis) }).await;
    let asked = keys(0..5);
    let _lease = one.lease(&asked).await;
    let started = Instant::now();
    let first = bounded.wait_many(&asked, started + Duration::from_millis(200));
    let second = async {
        let found = bounded.wait_many(&asked, started + PATIENCE).await;
        (found, started.elapsed())
    };
    let (first, (second, refused_after)) = tokio::join!(first, second);
    assert_eq!((first, second), (vec![None; 5], vec![None; 5]));
    assert!(refused_after < Duration::from_millis(200), "one too many: {refused_after:?}");
    assert!(started.elapsed() < PATIENCE / 2);
}

#[tokio::test]
async fn nobody_lets_go_of_anothers_lock() {
    let redis = start(RedisOptions::default());
    let brief = RedisConfig { lock_ttl: Duration::from_millis(20), ..patient(&redis) };
    let (one, other) = (connected(&brief).await, connected(&patient(&redis)).await);
    let asked = keys(0..1);
    let outlived = one.lease(&asked).await;
    eventually("its time is up", async || !is_locked(&redis, &asked[0])).await;
    let _lease = other.lease(&asked).await;
    drop(outlived);
    settled(&one, &redis).await;
    assert!(is_locked(&redis, &asked[0]));
}

#[tokio::test]
async fn two_processes_compute_each_text_once_however_they_meet() {
    let redis = start(RedisOptions::default());
    let (one, other) = both(&redis).await;
    for round in 0..50 {
        let asked = keys(round * 50..round * 50 + 50);
        let (a, b) = tokio::join!(embed(&one, &asked), embed(&other, &asked));
        assert_eq!(a + b, 50, "round {round}");
    }
}

/// What embedd makes of it; how many were computed.
async fn embed(cache: &RedisCache, asked: &[Key]) -> usize {
    let found = cache.get_many(asked, TTL).await;
    let missing: Vec<Key> = asked.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(k, _)| *k).collect();
    let lease = cache.lease(&missing).await;
    let sorted = |held| missing.iter().zip(&lease.held).filter(|&(_, h)| *h == held).map(|(k, _)| *k).collect();
    let (ours, others): (Vec<Key>, Vec<Key>) = (sorted(true), sorted(false));
    cache.set_many(entries(&ours), TTL, Some(lease));
    let waited = cache.wait_many(&others, Instant::now() + PATIENCE).await;
    assert_eq!(waited, expected(&others));
    ours.len()
}

const HOLDER: &str = "shared::tests::locks::a_process_that_holds_a_lock";
const HOLDER_URL: &str = "EMBEDD_TEST_HOLDER_URL";

#[tokio::test]
async fn a_holder_that_is_killed_is_waited_for_five_seconds_at_most() {
    let redis = start(RedisOptions::default());
    let mut holder = Command::new(std::env::current_exe().unwrap());
    holder.args(["--exact", HOLDER, "--ignored", "--nocapture"]).env(HOLDER_URL, redis.url().as_str());
    let mut holder = holder.stdout(Stdio::piped()).spawn().unwrap();
    let said =
        BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok).any(|line| line.contains("held"));
    assert!(said, "the other process has the lock");
    let cache = connected(&patient(&redis)).await;
    let asked = keys(0..2);
    assert_eq!(cache.lease(&asked).await.held, [false, true], "it holds the first one");

    let started = Instant::now();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(cache.wait_many(&asked[..1], started + PATIENCE).await, [None]);
    let waited = started.elapsed();
    assert!(waited < RedisConfig::default().lock_ttl + Duration::from_secs(1), "{waited:?}");
    assert_eq!(cache.lease(&asked[..1]).await.held, [true], "and the lock can be had");
}

#[tokio::test]
#[ignore = "the other process of the test above"]
async fn a_process_that_holds_a_lock() {
    let Ok(url) = std::env::var(HOLDER_URL) else { return };
    let config = RedisConfig { urls: vec![url.parse().unwrap()], timeout: PATIENCE, ..RedisConfig::default() };
    let cache = connected(&config).await;
    let lease = cache.lease(&keys(0..1)).await;
    assert_eq!(lease.held, [true]);
    println!("held");
    std::future::pending::<()>().await;
}
