//! Requests that want the same texts at once.

use std::time::Duration;

use embedd::ProviderKind;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::platform::{Platform, vector};
use crate::upstream::{BAD, Fault, Upstream, numbers};

async fn start() -> (Upstream, Platform) {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Openai, |_| {}).await;
    (upstream, platform)
}

/// Waits until so many requests wait for computations.
async fn waiting(platform: &Platform, requests: usize) {
    while !platform.metrics().await.contains(&format!("embedd_waiting {requests}\n")) {}
}

fn posted(platform: &Platform, texts: &[&str]) -> tokio::task::JoinHandle<(u16, Value)> {
    let request = platform.request(reqwest::Method::POST, "v1/embed").json(&json!({ "texts": texts }));
    tokio::spawn(async move {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_batches_have_in_common_is_computed_once() {
    let (upstream, platform) = start().await;
    upstream.hold();
    let first = posted(&platform, &["a", "b"]);
    upstream.called(1).await;
    let second = posted(&platform, &["b", "c", "a"]);
    upstream.called(2).await;
    assert_eq!(upstream.calls(), [vec!["a", "b"], vec!["c"]]);
    upstream.release();
    let ((_, first), (_, second)) = (first.await.unwrap(), second.await.unwrap());
    for (answer, texts) in [(&first, &["a", "b"][..]), (&second, &["b", "c", "a"])] {
        let found: Vec<Vec<f32>> = answer["vectors"].as_array().unwrap().iter().map(vector).collect();
        assert_eq!(found, texts.iter().map(|text| numbers(text)).collect::<Vec<_>>());
    }
    assert_eq!((&first["cached"], &second["cached"]), (&json!(0), &json!(2)));
    assert_eq!(platform.stats().await["single_flight_joins"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_and_fifty_texts_make_fifty_computations() {
    let (upstream, platform) = start().await;
    let texts: Vec<String> = (0..50).map(|n| format!("text {n:02}")).collect();
    let asked = |n: usize| {
        let mut order = texts.clone();
        order.rotate_left(n % 50);
        let platform = &platform;
        async move { (order.clone(), platform.done("v1/embed", json!({ "texts": order })).await) }
    };
    for (order, answer) in join_all((0..100).map(asked)).await {
        let found: Vec<Vec<f32>> = answer["vectors"].as_array().unwrap().iter().map(vector).collect();
        assert_eq!(found, order.iter().map(|text| numbers(text)).collect::<Vec<_>>());
    }
    assert_eq!(upstream.texts(), texts);
    let stats = platform.stats().await;
    assert_eq!((&stats["misses"], &stats["hits"]), (&json!(50), &json!(4_950)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_leaves_does_not_strand_its_followers() {
    let (upstream, platform) = start().await;
    upstream.hold();
    let leader = posted(&platform, &["a", "b"]);
    upstream.called(1).await;
    let follower = posted(&platform, &["b"]);
    waiting(&platform, 2).await;
    leader.abort();
    waiting(&platform, 1).await;
    upstream.release();
    let (status, answer) = follower.await.unwrap();
    assert_eq!((status, vector(&answer["vectors"][0])), (200, numbers("b")));
    assert_eq!(upstream.calls().len(), 1, "what the leader began was finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_is_given_up() {
    let (upstream, platform) = start().await;
    upstream.hold();
    let only = posted(&platform, &["a"]);
    upstream.called(1).await;
    only.abort();
    let soon = tokio::time::timeout(Duration::from_secs(20), upstream.left(1)).await;
    assert!(soon.is_ok(), "not only when its time is over");
    upstream.release();
    let (status, _) = posted(&platform, &["a"]).await.unwrap();
    assert_eq!((status, upstream.calls().len()), (200, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_leaders_followers_get_the_error_and_the_next_one_a_new_try() {
    let (upstream, platform) = start().await;
    upstream.fail([Fault::Status(500, None, "")]);
    upstream.hold();
    let leader = posted(&platform, &["a"]);
    upstream.called(1).await;
    let followers: Vec<_> = (0..3).map(|_| posted(&platform, &["a"])).collect();
    waiting(&platform, 4).await;
    upstream.release();
    for request in std::iter::once(leader).chain(followers) {
        let (status, problem) = request.await.unwrap();
        assert_eq!((status, &problem["code"]), (502, &json!("bad_gateway")), "{problem}");
    }
    assert_eq!(upstream.calls().len(), 1);
    assert_eq!(posted(&platform, &["a"]).await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_leaders_other_texts_is_not_its_followers_fault() {
    let (upstream, platform) = start().await;
    upstream.hold();
    let leader = posted(&platform, &[BAD, "a"]);
    upstream.called(1).await;
    let follower = posted(&platform, &["a", "a"]);
    waiting(&platform, 2).await;
    upstream.release();
    assert_eq!(leader.await.unwrap().0, 400);
    let (status, answer) = follower.await.unwrap();
    assert_eq!((status, vector(&answer["vectors"][1])), (200, numbers("a")));
    assert_eq!(upstream.calls()[1], ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_longer_than_allowed() {
    let upstream = Upstream::start().await;
    let short = Duration::from_millis(100);
    let platform = Platform::on(&upstream, ProviderKind::Ollama, |config| config.embed_timeout = short).await;
    upstream.hold();
    let (leader, follower) = (posted(&platform, &["a"]), posted(&platform, &["a", "b"]));
    for request in [leader, follower] {
        let (status, problem) = request.await.unwrap();
        assert_eq!((status, &problem["code"]), (504, &json!("deadline_exceeded")), "{problem}");
    }
    upstream.release();
    assert_eq!(posted(&platform, &["a", "b"]).await.unwrap().0, 200);
}
