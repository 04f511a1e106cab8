//! What is written, how long it stays, and what is not believed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kit::Secret;

use super::*;
use crate::config::RedisValue;

#[tokio::test]
async fn what_one_process_keeps_another_finds_in_the_order_asked() {
    let redis = start(RedisOptions::default());
    let (one, other) = (connected(&patient(&redis)).await, connected(&patient(&redis)).await);
    // More than fit into one command.
    let known = keys(0..600);
    kept(&one, &known).await;
    let mut asked = known.clone();
    asked.reverse();
    asked.insert(1, keys(9_000..9_001)[0]);
    let mut wanted = expected(&asked);
    wanted[1] = None;
    assert_eq!(other.get_many(&asked, TTL).await, wanted);
    assert_eq!(redis.ask(&["EXISTS", &name::entry(&known[0])]).unwrap(), "1");
    assert_eq!(other.get_many(&[], TTL).await, Vec::new());
}

#[tokio::test]
async fn every_form_is_read_back() {
    let redis = start(RedisOptions::default());
    let asked = keys(0..10);
    for (value, zstd, key) in
        [(RedisValue::F32, true, [0; 32]), (RedisValue::F16, false, [1; 32]), (RedisValue::F16, true, [2; 32])]
    {
        let encryption_key = Secret::new(BASE64_STANDARD.encode(key));
        let cache = connected(&RedisConfig { value, zstd, encryption_key, ..patient(&redis) }).await;
        assert_eq!(cache.get_many(&asked, TTL).await, vec![None; 10], "those of other keys are not believed");
        kept(&cache, &asked).await;
        for (read, written) in cache.get_many(&asked, TTL).await.into_iter().zip(expected(&asked)) {
            let (read, written) = (read.unwrap(), written.unwrap());
            assert_eq!(read.tokens, written.tokens);
            let off = read.vector.iter().zip(&*written.vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= if value == RedisValue::F32 { 0.0 } else { 3.0e-4 }, "{off}");
        }
    }
}

#[tokio::test]
async fn what_is_no_value_is_a_miss_that_is_counted() {
    let redis = start(RedisOptions::default());
    let cache = connected(&patient(&redis)).await;
    let known = keys(0..6);
    kept(&cache, &known).await;
    let names: Vec<String> = known.iter().map(name::entry).collect();
    redis.ask(&["SET", &names[0], "garbage"]).unwrap();
    redis.ask(&["SET", &names[1], ""]).unwrap();
    redis.ask(&["COPY", &names[5], &names[2], "REPLACE"]).unwrap();
    redis.ask(&["SETRANGE", &names[3], "700", "?"]).unwrap();
    redis.ask(&["DEL", &names[4]]).unwrap();
    redis.ask(&["LPUSH", &names[4], "a list"]).unwrap();
    let found = cache.get_many(&known, TTL).await;
    assert_eq!(found[..5], vec![None; 5]);
    assert_eq!(found[5], expected(&known)[5]);
    assert_eq!((cache.figures().damaged, cache.figures().errors), (4, 0), "a list is not even a value");
    kept(&cache, &known).await;
}

#[tokio::test]
async fn entries_end_about_when_they_should_and_not_together() {
    let redis = start(RedisOptions::default());
    let cache = connected(&patient(&redis)).await;
    let known = keys(0..200);
    kept(&cache, &known).await;
    let left: Vec<u64> = known.iter().map(|key| left_ms(&redis, key)).collect();
    let (least, most) = (*left.iter().min().unwrap(), *left.iter().max().unwrap());
    let reading = Duration::from_secs(30).as_millis() as u64;
    assert!(least >= 900_000 - reading && most <= 1_100_000, "{least} to {most}");
    assert!(most - least > 100_000, "spread: {least} to {most}");
}

#[tokio::test]
async fn what_is_used_in_its_second_half_stays_longer() {
    let redis = start(RedisOptions::default());
    let cache = connected(&patient(&redis)).await;
    let known = keys(0..4);
    kept(&cache, &known).await;
    settled(&cache, &redis).await;
    let names: Vec<String> = known.iter().map(name::entry).collect();
    redis.ask(&["PEXPIRE", &names[0], "400000"]).unwrap();
    redis.ask(&["PEXPIRE", &names[1], "600000"]).unwrap();
    redis.ask(&["PERSIST", &names[2]]).unwrap();
    redis.ask(&["PEXPIRE", &names[3], "400000"]).unwrap();
    assert_eq!(cache.get_many(&known[..3], TTL).await, expected(&known[..3]));
    eventually("renewed", async || left_ms(&redis, &known[0]) > 800_000).await;
    assert!(left_ms(&redis, &known[1]) <= 600_000, "in its first half: not written");
    assert_eq!(redis.ask(&["PTTL", &names[2]]).unwrap(), "-1", "somebody wants it for ever");
    assert!(left_ms(&redis, &known[3]) <= 400_000, "not used");
}

#[tokio::test]
async fn what_there_is_no_room_for_in_the_queue_is_dropped_and_counted() {
    let redis = start(RedisOptions::default());
    let cache = connected(&RedisConfig { writes_waiting_bytes_max: 2_100, ..patient(&redis) }).await;
    let known = keys(0..3);
    cache.set_many(entries(&known), TTL, None);
    assert_eq!(cache.figures().dropped, 3, "too much at once");
    kept(&cache, &known[..1]).await;
    assert_eq!(cache.get_many(&known, TTL).await[1..], [None, None]);
}

fn left_ms(redis: &Redis, key: &Key) -> u64 {
    redis.ask(&["PTTL", &name::entry(key)]).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "a measurement: --release --run-ignored only"]
async fn measure_reading_64_values() {
    let redis = start(RedisOptions::default());
    let cache = connected(&patient(&redis)).await;
    let known = keys(0..64);
    kept(&cache, &known).await;
    let mut took = Vec::new();
    for _ in 0..2_000 {
        let started = Instant::now();
        let found = cache.get_many(&known, TTL).await;
        took.push(started.elapsed());
        assert!(found.iter().all(Option::is_some));
    }
    took.sort();
    println!("64 values of 384 f32: p50 {:?}, p99 {:?}", took[1_000], took[1_980]);
}
