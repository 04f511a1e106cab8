//! Passwords, TLS, several servers, a cluster.

use kit::Secret;
use testbed::RedisCluster;

use super::*;
use crate::shared::client::OpenError;

fn secret(password: &str) -> RedisOptions {
    RedisOptions { password: Some(password.to_owned()), ..RedisOptions::default() }
}

#[tokio::test]
async fn the_right_password_opens_and_a_wrong_one_is_reported_and_not_shown() {
    let redis = start(secret("opensesame"));
    let right = RedisConfig { password: Secret::new("opensesame"), ..patient(&redis) };
    kept(&connected(&right).await, &keys(0..3)).await;
    for (password, reason) in [("opensaysme", "WRONGPASS"), ("", "NOAUTH")] {
        let watched = Watched::open(&RedisConfig { password: Secret::new(password), ..patient(&redis) }).await;
        let told = async || {
            let (status, detail) = watched.says("redis").await;
            assert!(password.is_empty() || !detail.contains(password), "{detail}");
            status == "degraded" && (detail.contains(reason) || detail.to_lowercase().contains("auth"))
        };
        eventually("refused", told).await;
        assert_eq!(watched.cache.get_many(&keys(0..3), TTL).await, vec![None; 3]);
    }
}

#[tokio::test]
async fn tls_with_an_authority_of_ones_own_and_with_no_other() {
    let redis = start(RedisOptions { tls: true, ..secret("opensesame") });
    let ca_file = redis.authority().unwrap().to_owned();
    let trusting = RedisConfig { password: Secret::new("opensesame"), ca_file, ..patient(&redis) };
    kept(&connected(&trusting).await, &keys(0..3)).await;
    let another = start(RedisOptions { tls: true, ..RedisOptions::default() });
    let ca_file = another.authority().unwrap().to_owned();
    for distrusting in [RedisConfig { ca_file, ..trusting.clone() }, RedisConfig { ca_file: "".into(), ..trusting }] {
        let watched = Watched::open(&distrusting).await;
        watched.eventually_says("degraded", "certificate").await;
        assert!(!watched.cache.figures().available);
    }
}

#[tokio::test]
async fn what_no_server_could_make_good_is_refused_at_the_start() {
    let redis = start(RedisOptions { tls: true, ..RedisOptions::default() });
    let open = |ca_file: &std::path::Path| {
        RedisCache::open(&RedisConfig { ca_file: ca_file.to_owned(), ..patient(&redis) }, &Health::new())
    };
    let nowhere = open("/nowhere/ca.pem".as_ref());
    assert!(matches!(nowhere, Err(OpenError::Authorities { .. })));
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("ca.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(matches!(open(&garbage), Err(OpenError::Client(_))));
}

#[tokio::test]
async fn two_servers_share_the_keys_and_one_goes_on_alone() {
    let (one, mut other) = (start(RedisOptions::default()), start(RedisOptions::default()));
    let config = RedisConfig { urls: vec![one.url(), other.url()], ..patient(&one) };
    let turned = RedisConfig { urls: vec![other.url(), one.url()], ..patient(&one) };
    let (cache, turned) = (connected(&config).await, connected(&turned).await);
    let known = keys(0..100);
    kept(&cache, &known).await;
    assert_eq!(turned.get_many(&known, TTL).await, expected(&known), "in whichever order they are configured");
    let holds = |redis: &Redis| -> usize { redis.ask(&["DBSIZE"]).unwrap().parse().unwrap() };
    let (ones, others) = (holds(&one), holds(&other));
    assert!(ones + others == 100 && ones > 20 && others > 20, "{ones} and {others}");

    other.kill();
    eventually("missed", async || !cache.is_whole()).await;
    let found = cache.get_many(&known, TTL).await;
    assert_eq!(found.iter().flatten().count(), ones, "what the first one has");
    assert!(found.into_iter().zip(expected(&known)).all(|(found, wanted)| found.is_none() || found == wanted));
    assert_eq!(cache.lease(&keys(100..200)).await.held, vec![true; 100]);
    assert!(cache.figures().available);
}

#[tokio::test]
async fn each_of_several_servers_has_its_own_place_in_health() {
    let (one, mut other) = (start(RedisOptions::default()), start(RedisOptions::default()));
    other.kill();
    let watched = Watched::open(&RedisConfig { urls: vec![one.url(), other.url()], ..patient(&one) }).await;
    let component = |redis: &Redis| format!("redis 127.0.0.1:{}", redis.url().port().unwrap());
    let told = async || {
        watched.says(&component(&one)).await.0 == "ok" && watched.says(&component(&other)).await.0 == "degraded"
    };
    eventually("one up, one down", told).await;
}

#[tokio::test]
async fn a_cluster_keeps_entries_and_locks() {
    let cluster = RedisCluster::start(3, &secret("opensesame")).unwrap();
    // One of its nodes names the others.
    let urls = vec![cluster.urls()[1].clone()];
    let node = start(RedisOptions::default());
    let config = RedisConfig { urls, cluster: true, password: Secret::new("opensesame"), ..patient(&node) };
    let (one, other) = (connected(&config).await, connected(&config).await);
    let known = keys(0..100);
    let lease = one.lease(&known).await;
    assert_eq!(lease.held, vec![true; 100]);
    assert_eq!(other.lease(&known).await.held, vec![false; 100]);
    one.set_many(entries(&known), TTL, Some(lease));
    assert_eq!(other.wait_many(&known, Instant::now() + PATIENCE).await, expected(&known));
    assert_eq!(other.get_many(&known, TTL).await, expected(&known));
    eventually("locks are let go of", async || other.lease(&keys(0..1)).await.held == [false]).await;
}
