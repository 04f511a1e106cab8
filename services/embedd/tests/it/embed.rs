//! `POST /v1/embed`, `/v1/embed/models`, `/v1/embed/tokenize`: what they answer and what they refuse.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::platform::{Platform, body, hash, length, vector};

#[tokio::test(flavor = "multi_thread")]
async fn texts_become_vectors_in_their_order() {
    let platform = Platform::start().await;
    let answer = platform.embed(&["forklift driver IL", "welder", ""]).await;
    let fields: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["cached", "dimension", "model", "tokens", "vectors"]);
    assert_eq!((&answer["model"], &answer["dimension"]), (&json!("hash"), &json!(8)));
    assert_eq!((&answer["cached"], &answer["tokens"]), (&json!(0), &json!(4)));
    let turned = platform.embed(&["welder", "forklift driver IL"]).await;
    assert_eq!(turned["cached"], 2);
    assert_eq!(turned["tokens"], 4, "cached ones have theirs too");
    assert_eq!(turned["vectors"], json!([answer["vectors"][1], answer["vectors"][0]]));
    assert!((length(&vector(&answer["vectors"][0])) - 1.0).abs() < 1e-6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_asks_for_is_part_of_what_is_cached() {
    let platform = Platform::with(|config| {
        config.models.insert("other".into(), embedd::ModelConfig { prefix: "query: ".into(), ..hash(8) });
    })
    .await;
    let unit = platform.embed(&["welder"]).await;
    let plain = platform.done("v1/embed", json!({ "texts": ["welder"], "normalize": false })).await;
    assert_eq!(plain["cached"], 0, "not the normalised one");
    assert!((length(&vector(&plain["vectors"][0])) - 1.0).abs() > 1e-3);
    let prefixed = platform.done("v1/embed", json!({ "texts": ["welder"], "model": "other" })).await;
    assert_eq!((&prefixed["cached"], &prefixed["model"]), (&json!(0), &json!("other")));
    let by_hand = platform.embed(&["query: welder"]).await;
    assert_eq!(prefixed["vectors"], by_hand["vectors"]);
    assert_ne!(prefixed["vectors"], unit["vectors"]);
    let again = platform.done("v1/embed", json!({ "texts": ["welder"], "normalize": true })).await;
    assert_eq!(again["cached"], 1, "as where it was left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_too_long_is_cut_off_or_named() {
    let platform = Platform::with(|config| config.models.get_mut("hash").unwrap().tokens_max = 3).await;
    let cut = platform.embed(&["a b c d e", "a b c"]).await;
    assert_eq!(cut["vectors"][0], cut["vectors"][1]);
    assert_eq!(cut["tokens"], 6);
    // Its twin and what is cached do not move the place that is named.
    platform.done("v1/embed", json!({ "texts": ["x"], "truncate": false })).await;
    let asked = json!({ "texts": ["x", "y", "y", "a b c d e"], "truncate": false });
    let refused = platform.refused("v1/embed", asked, 400).await;
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("texts[3]: it has 5 tokens; the model takes 3"), "{detail}");
    let fits = platform.done("v1/embed", json!({ "texts": ["a b c"], "truncate": false })).await;
    assert_eq!(fits["vectors"][0], cut["vectors"][0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_what_is_wrong() {
    let platform = Platform::with(|config| {
        config.texts_max = 3;
        config.text_bytes_max = 10;
        config.body_bytes_max = 200;
    })
    .await;
    for (body, status, told) in [
        (json!({ "texts": [] }), 400, "there are none"),
        (json!({}), 400, "texts"),
        (json!({ "texts": "a" }), 400, "list of texts"),
        (json!({ "texts": ["a", 1] }), 400, "texts[1]"),
        (json!({ "texts": [null] }), 400, "texts[0]"),
        (json!({ "texts": ["a"], "truncated": true }), 400, "truncated"),
        (json!({ "texts": ["a"], "model": "none" }), 404, "there are: hash"),
        (json!({ "texts": ["a", "b", "c", "d"] }), 413, "texts_max"),
        (json!({ "texts": ["a", "0123456789a"] }), 413, "bytes of texts[1]: 11 exceed 10 (text_bytes_max)"),
        (json!({ "texts": ["a".repeat(300)] }), 413, "body_bytes_max"),
    ] {
        let refused = platform.refused("v1/embed", body.clone(), status).await;
        assert!(refused["detail"].as_str().unwrap().contains(told), "{body}: {refused}");
    }
    for raw in [r#"{"texts":["\ud800"]}"#, r#"{"texts":["\udc00\ud800"]}"#, "", "[", "{\"texts\":[\"a\"]} x"] {
        let request = platform.request(Method::POST, "v1/embed").header(CONTENT_TYPE, "application/json");
        let (status, answer) = body(request.body(raw).send().await.unwrap()).await;
        assert_eq!(status, 400, "{raw}: {answer}");
    }
    let text = platform.request(Method::POST, "v1/embed").header(CONTENT_TYPE, "text/plain").body("a");
    assert_eq!(text.send().await.unwrap().status(), 415);
    let nul = platform.embed(&["\0", "a\0b"]).await;
    assert_eq!(nul["vectors"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_tokens_are_shown() {
    let platform = Platform::with(|config| {
        config.models.insert("wide".into(), hash(16));
    })
    .await;
    let models = platform.get("v1/embed/models").await;
    let shown: Vec<_> = models["models"].as_array().unwrap().iter().map(|m| (&m["name"], &m["dimension"])).collect();
    assert_eq!(shown, [(&json!("hash"), &json!(8)), (&json!("wide"), &json!(16))]);
    assert_eq!((&models["models"][0]["default"], &models["models"][1]["default"]), (&json!(true), &json!(false)));
    assert_eq!(models["models"][0]["fingerprint"].as_str().unwrap().len(), 64);
    assert_ne!(models["models"][0]["fingerprint"], models["models"][1]["fingerprint"]);
    let tokens = platform.done("v1/embed/tokenize", json!({ "texts": ["a b a", ""] })).await;
    assert_eq!((&tokens["texts"][0]["count"], &tokens["texts"][1]["count"]), (&json!(3), &json!(0)));
    assert_eq!(tokens["texts"][0]["tokens"][0], tokens["texts"][0]["tokens"][2]);
    assert_eq!(tokens["max_tokens"], 512);
    let long = platform.done("v1/embed/tokenize", json!({ "texts": ["a ".repeat(600)] })).await;
    assert_eq!((&long["texts"][0]["count"], long["texts"][0]["tokens"].as_array().unwrap().len()), (&json!(600), 512));
}
