//! The model that this process runs: all-MiniLM-L6-v2, as `./just setup` brings it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use embedd::{ModelConfig, ProviderKind};
use reqwest::Method;
use serde_json::json;

use crate::platform::{Platform, body, hash, length, vector};

pub(crate) fn folder() -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/minilm"));
    assert!(folder.join("model.safetensors").exists(), "{} is not there: run ./just setup", folder.display());
    folder
}

/// The defaults, but for the folder.
async fn minilm() -> Platform {
    Platform::with(|config| *config = embedd::Config { model_dir: folder(), ..embedd::Config::default() }).await
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / length(a) / length(b)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_model_knows_what_texts_mean() {
    let platform = minilm().await;
    let texts = ["forklift driver in Chicago", "warehouse vehicle operator, Illinois", "a sonnet about the sea", ""];
    let answer = platform.embed(&texts).await;
    assert_eq!((&answer["model"], &answer["dimension"]), (&json!("all-MiniLM-L6-v2"), &json!(384)));
    let vectors: Vec<Vec<f32>> = answer["vectors"].as_array().unwrap().iter().map(vector).collect();
    assert!(vectors.iter().all(|vector| (length(vector) - 1.0).abs() < 1e-5));
    let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
    assert!(near > far + 0.2, "{near} {far}");
    let plain = platform.done("v1/embed", json!({ "texts": [texts[0]], "normalize": false })).await;
    let plain = vector(&plain["vectors"][0]);
    assert!((length(&plain) - 1.0).abs() > 1e-2 && cosine(&plain, &vectors[0]) > 0.99999);
    let models = platform.get("v1/embed/models").await;
    let model = &models["models"][0];
    assert_eq!((&model["provider"], &model["max_tokens"]), (&json!("local"), &json!(256)));
    assert_eq!((&model["normalize"], &model["default"]), (&json!(true), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_tokens_can_be_had_given_and_be_too_many() {
    let platform = minilm().await;
    let tokens = platform.done("v1/embed/tokenize", json!({ "texts": ["welder", "welder ".repeat(300)] })).await;
    let ids = &tokens["texts"][0]["tokens"];
    assert_eq!(
        (&ids[0], tokens["texts"][0]["count"].as_u64().unwrap()),
        (&json!(101), ids.as_array().unwrap().len() as u64)
    );
    assert_eq!(tokens["texts"][1]["tokens"].as_array().unwrap().len(), 256);
    let count = tokens["texts"][1]["count"].as_u64().unwrap();
    let refused = json!({ "texts": ["welder", "welder ".repeat(300)], "truncate": false });
    let refused = platform.refused("v1/embed", refused, 400).await;
    let told = format!("texts[1]: it has {count} tokens; the model takes 256");
    assert!(refused["detail"].as_str().unwrap().starts_with(&told), "{refused}");
    let text = platform.done("v1/embeddings", json!({ "input": "welder" })).await;
    let given = platform.done("v1/embeddings", json!({ "input": ids })).await;
    assert_eq!(text["data"], given["data"]);
    let unknown = platform.refused("v1/embeddings", json!({ "input": [4_000_000] }), 400).await;
    assert!(unknown["error"]["message"].as_str().unwrap().contains("there is no token 4000000"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_may_wait_for_it_is_told_to_come_again() {
    let platform = Platform::with(|config| {
        *config = embedd::Config { model_dir: folder(), local_threads: 1, ..embedd::Config::default() };
        (config.texts_max, config.warm_batch_texts, config.local_queue_texts_max) = (2, 2, 2);
    })
    .await;
    // A text of so many words takes far longer than eight requests need to arrive.
    let asked = (0..8).map(|request| {
        let texts = [0, 1].map(|text| format!("{request} {text} {}", "welder ".repeat(250)));
        platform.request(Method::POST, "v1/embed").json(&json!({ "texts": texts })).send()
    });
    let (mut done, mut turned_away) = (0, 0);
    for response in futures::future::join_all(asked).await {
        let response = response.unwrap();
        if response.status().is_success() {
            done += 1;
            continue;
        }
        turned_away += 1;
        assert_eq!(response.headers()["retry-after"], "1");
        let (status, problem) = body(response).await;
        assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("overloaded")));
    }
    assert!(done > 0 && turned_away > 0, "{done} done, {turned_away} turned away");
    platform.embed(&["a", "b"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_opened_takes_no_other_with_it() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_owned();
    let platform = Platform::with(|config| {
        config.models.insert("broken".into(), ModelConfig { path: path.clone(), ..ModelConfig::default() });
    })
    .await;
    platform.embed(&["a"]).await;
    let problem = platform.refused("v1/embed", json!({ "texts": ["a"], "model": "broken" }), 503).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("the model broken cannot be used") && !detail.contains(path.to_str().unwrap()), "{detail}");
    let health = platform.get("health").await;
    assert_eq!(
        (&health["status"], &health["components"]["model broken"]["status"]),
        (&json!("degraded"), &json!("degraded"))
    );
    assert_eq!(platform.get("v1/embed/models").await["models"].as_array().unwrap().len(), 1);
}

/// A hub that has what is in a folder, and counts what is asked for.
async fn hub(folder: &Path) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let state = (folder.to_owned(), asked.clone());
    let file = async |State((folder, asked)): State<(PathBuf, Arc<AtomicUsize>)>,
                      axum::extract::Path(file): axum::extract::Path<String>| {
        asked.fetch_add(1, Ordering::Relaxed);
        std::fs::read(folder.join(file)).map_err(|_| StatusCode::NOT_FOUND)
    };
    let routes = Router::new().route("/maker/mini/resolve/v2/{*file}", get(file)).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, asked)
}

async fn on_hub(url: &str, dir: &Path) -> Platform {
    Platform::with(|config| {
        (config.hub_url, config.hub_dir) = (url.parse().unwrap(), dir.to_owned());
        let model = ModelConfig {
            provider: ProviderKind::Local,
            model: "maker/mini".into(),
            revision: "v2".into(),
            ..ModelConfig::default()
        };
        config.models = [("mini".to_owned(), model), ("hash".to_owned(), hash(8))].into();
    })
    .await
}

/// Asks for health until it is said of the model.
async fn until(platform: &Platform, is: impl Fn(&serde_json::Value) -> bool) {
    loop {
        let health: serde_json::Value =
            platform.http.get(platform.url("health")).send().await.unwrap().json().await.unwrap();
        if is(&health["components"]["model mini"]) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_a_hub_is_fetched_once() {
    let (kept, (url, asked)) = (tempfile::tempdir().unwrap(), hub(&folder()).await);
    let platform = on_hub(&url, kept.path()).await;
    until(&platform, |component| component.is_null()).await;
    let answer = platform.done("v1/embed", json!({ "texts": ["welder"], "model": "mini" })).await;
    assert_eq!(answer["dimension"], 384);
    let fetched = asked.load(Ordering::Relaxed);
    assert!(fetched >= 5, "{fetched}");
    let again = on_hub(&url, kept.path()).await;
    until(&again, |component| component.is_null()).await;
    let same = again.done("v1/embed", json!({ "texts": ["welder"], "model": "mini" })).await;
    assert_eq!(same["vectors"], answer["vectors"]);
    assert_eq!(asked.load(Ordering::Relaxed), fetched, "it was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_without_the_model_leaves_the_others_and_no_half_folder() {
    let (kept, half) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(folder().join(file), half.path().join(file)).unwrap();
    }
    let (url, _) = hub(half.path()).await;
    let platform = on_hub(&url, kept.path()).await;
    let told = "the hub has neither model.safetensors nor onnx/model.onnx of it";
    until(&platform, |component| component["detail"] == told).await;
    platform.refused("v1/embed", json!({ "texts": ["a"], "model": "mini" }), 503).await;
    platform.done("v1/embed", json!({ "texts": ["a"], "model": "hash" })).await;
    assert_eq!(std::fs::read_dir(kept.path()).unwrap().count(), 0);
}
