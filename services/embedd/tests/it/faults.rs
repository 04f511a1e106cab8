//! Upstreams that misbehave.

use std::time::{Duration, Instant};

use embedd::ProviderKind;
use reqwest::Method;
use serde_json::json;

use crate::platform::{Platform, body, vector};
use crate::upstream::{BAD, Fault, KEY, Upstream, numbers};

const KINDS: [ProviderKind; 2] = [ProviderKind::Openai, ProviderKind::Ollama];

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_must_not_answer_is_502_and_kept_nowhere() {
    for kind in KINDS {
        let upstream = Upstream::start().await;
        let platform = Platform::on(&upstream, kind, |config| {
            config.models.get_mut("remote").unwrap().timeout = Duration::from_millis(200);
        })
        .await;
        platform.embed(&["this one teaches the dimension"]).await;
        // Read by the one as numbers that may also be text, by the other as numbers of 32 bits.
        let too_great = if kind == ProviderKind::Openai { "not finite" } else { "not what the protocol says" };
        for (fault, told) in [
            (Fault::Short, "it answered 1 vectors for 2 texts"),
            (Fault::Dimension(3), "3 dimensions instead of 4"),
            (Fault::Dimension(0), "no dimensions"),
            (Fault::Number("1e39"), too_great),
            (Fault::Number("-1e39"), too_great),
            (Fault::Number("NaN"), "not what the protocol says"),
            (Fault::Number("null"), "not what the protocol says"),
            (Fault::Number("\"x\""), "not what the protocol says"),
            (Fault::Body("<html>no</html>"), "not what the protocol says"),
            (Fault::Body("{}"), "not what the protocol says"),
            (Fault::Body(""), "not what the protocol says"),
            (Fault::Status(500, None, "panic at /srv/secret"), "it answered 500"),
            (Fault::Status(302, None, ""), "it answered 302"),
            (Fault::Status(401, None, "{\"error\":\"bad key sk-very\"}"), "it does not take our key"),
            (Fault::Status(404, None, ""), "does not know the model"),
            (Fault::Never, "it did not answer within"),
        ] {
            upstream.fail([fault.clone()]);
            let problem = platform.refused("v1/embed", json!({ "texts": ["a", "b"] }), 502).await;
            let detail = problem["detail"].as_str().unwrap();
            let provider = if kind == ProviderKind::Openai { "(openai)" } else { "(ollama)" };
            assert!(detail.contains("the model remote") && detail.contains(provider), "{detail}");
            assert!(detail.contains(told), "{fault:?}: {detail}");
            assert!(!detail.contains("secret") && !detail.contains("sk-very"), "{detail}");
        }
        let good = platform.embed(&["a", "b"]).await;
        assert_eq!(good["cached"], 0, "nothing of all that was kept");
        assert_eq!(vector(&good["vectors"][1]), numbers("b"));
        assert!(platform.metrics().await.contains("embedd_provider_failures_total{model=\"remote\"} 16"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_is_502() {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Ollama, |config| {
        // The port of nobody: it was bound and let go.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        config.models.get_mut("remote").unwrap().url = Some(format!("http://{free}/").parse().unwrap());
    })
    .await;
    let problem = platform.refused("v1/embed", json!({ "texts": ["a"] }), 502).await;
    assert!(problem["detail"].as_str().unwrap().contains("it cannot be reached"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_and_a_pause_is_kept() {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Openai, |config| {
        config.models.get_mut("remote").unwrap().retries_max = 2;
    })
    .await;
    upstream.fail([Fault::Status(503, None, ""), Fault::Status(500, None, "")]);
    platform.embed(&["a"]).await;
    assert_eq!(upstream.calls().len(), 3);
    let began = Instant::now();
    upstream.fail([Fault::Status(429, Some("1"), "")]);
    platform.embed(&["b"]).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(upstream.calls().len(), 5);
    upstream.fail([Fault::Status(500, None, ""), Fault::Status(500, None, ""), Fault::Status(500, None, "")]);
    platform.refused("v1/embed", json!({ "texts": ["c"] }), 502).await;
    assert_eq!(upstream.calls().len(), 8, "and then no more");
    upstream.fail([Fault::Body("garbage")]);
    platform.refused("v1/embed", json!({ "texts": ["d"] }), 502).await;
    assert_eq!(upstream.calls().len(), 9, "garbage stays garbage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_is_too_long_to_wait_is_passed_on() {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Openai, |config| {
        config.models.get_mut("remote").unwrap().retries_max = 2;
    })
    .await;
    upstream.fail([Fault::Status(429, Some("77"), ""), Fault::Status(429, Some("78"), "")]);
    for (path, json) in [("v1/embed", json!({ "texts": ["a"] })), ("v1/embeddings", json!({ "input": "a" }))] {
        let response = platform.request(Method::POST, path).json(&json).send().await.unwrap();
        let after = response.headers()["retry-after"].to_str().unwrap().to_owned();
        let (status, problem) = body(response).await;
        assert_eq!((status.as_u16(), after.starts_with('7')), (429, true), "{problem}");
    }
    assert_eq!(upstream.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_says_of_a_request_is_passed_on_without_the_key() {
    for kind in KINDS {
        let upstream = Upstream::start().await;
        let platform = Platform::on(&upstream, kind, |_| {}).await;
        let problem = platform.refused("v1/embed", json!({ "texts": ["a", BAD] }), 400).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with("the upstream says: bad input, said with Bearer ***"), "{detail}");
        assert_eq!(upstream.keys(), [format!("Bearer {KEY}")]);
        for path in ["v1/embed/models", "v1/embed/stats", "health", "metrics"] {
            let text = platform.http.get(platform.url(path)).send().await.unwrap().text().await.unwrap();
            assert!(!text.contains(KEY), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_an_upstream_refuses_is_named_where_nothing_may_be_cut_off() {
    for kind in KINDS {
        let upstream = Upstream::start().await;
        let platform = Platform::on(&upstream, kind, |config| {
            config.models.get_mut("remote").unwrap().batch_texts_max = 8;
        })
        .await;
        platform.done("v1/embed", json!({ "texts": ["cached"], "truncate": false })).await;
        let refused = async |texts: &[&str]| {
            let calls = upstream.calls().len();
            let asked = json!({ "texts": texts, "truncate": false });
            let problem = platform.refused("v1/embed", asked, 400).await;
            (problem["detail"].as_str().unwrap().to_owned(), upstream.calls().len() - calls)
        };
        let texts: Vec<String> = (0..12).map(|n| format!("text {n}")).collect();
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for place in [2, 7, 8, 11] {
            let good = std::mem::replace(&mut texts[place], BAD);
            let order = [&["cached", "text 0"], &texts[..]].concat();
            let (detail, calls) = refused(&order).await;
            let told = format!("texts[{}], of 11 bytes: the model remote: the upstream says: bad input", place + 2);
            assert!(detail.starts_with(&told), "{detail}");
            assert!(calls <= 2 + 4, "{calls} for two batches and the halves of one");
            texts[place] = good;
        }
        let (alone, _) = refused(&[BAD]).await;
        assert!(alone.starts_with("texts[0], of 11 bytes: "), "{alone}");
        // What is wrong with the whole is nobody's fault, and what fails on the way to it is not told instead.
        for faults in [vec![], vec![Fault::Status(400, None, "{}")], vec![Fault::Status(500, None, "")]] {
            upstream.fail([Fault::Status(400, None, r#"{"error":"too much"}"#)].into_iter().chain(faults));
            let (whole, _) = refused(&["x", "y", "z"]).await;
            assert!(whole.ends_with("): the upstream says: too much"), "{whole}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_requests_go_in_batches_and_come_back_in_order() {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Openai, |config| {
        let model = config.models.get_mut("remote").unwrap();
        (model.batch_texts_max, model.batch_bytes_max) = (4, 30);
    })
    .await;
    let texts: Vec<String> = (0..10).map(|n| format!("text {n}")).chain(["x".repeat(29), "y".repeat(40)]).collect();
    let answer = platform.done("v1/embed", json!({ "texts": texts })).await;
    let found: Vec<Vec<f32>> = answer["vectors"].as_array().unwrap().iter().map(vector).collect();
    assert_eq!(found, texts.iter().map(|text| numbers(text)).collect::<Vec<_>>());
    let mut sizes: Vec<usize> = upstream.calls().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2, 4, 4]);
    assert_eq!(answer["tokens"], 36, "as the upstream counts them");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_than_may_wait_are_told_to_come_back() {
    let upstream = Upstream::start().await;
    let platform = Platform::on(&upstream, ProviderKind::Ollama, |config| {
        let model = config.models.get_mut("remote").unwrap();
        (model.calls_at_once_max, model.calls_waiting_max) = (1, 0);
    })
    .await;
    upstream.hold();
    let running = platform.request(Method::POST, "v1/embed").json(&json!({ "texts": ["a"] }));
    let running = tokio::spawn(running.send());
    upstream.called(1).await;
    let response = platform.request(Method::POST, "v1/embed").json(&json!({ "texts": ["b"] })).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    upstream.release();
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_go_to_who_takes_them() {
    let upstream = Upstream::start().await;
    let openai = Platform::on(&upstream, ProviderKind::Openai, |_| {}).await;
    openai.done("v1/embeddings", json!({ "input": [[1, 2], [3]] })).await;
    assert_eq!(upstream.calls(), [["[1,2]", "[3]"]]);
    let ollama = Platform::on(&upstream, ProviderKind::Ollama, |_| {}).await;
    let refused = ollama.refused("v1/embeddings", json!({ "input": [1, 2] }), 400).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("not tokens"), "{refused}");
    ollama.refused("v1/embed/tokenize", json!({ "texts": ["a"] }), 501).await;
}
