//! The protocols of others: OpenAI's and Ollama's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::platform::{Platform, body, vector};

#[tokio::test(flavor = "multi_thread")]
async fn openai_answers_each_shape_of_input() {
    let platform = Platform::start().await;
    let own = platform.embed(&["welder", "driver"]).await;
    let one = platform.done("v1/embeddings", json!({ "input": "welder", "model": "hash" })).await;
    assert_eq!(
        one,
        json!({
            "object": "list",
            "data": [{ "object": "embedding", "index": 0, "embedding": own["vectors"][0] }],
            "model": "hash",
            "usage": { "prompt_tokens": 1, "total_tokens": 1 },
        })
    );
    // Fields that nobody knows and no model at all are no reason to refuse.
    let list = json!({ "input": ["driver", "welder"], "user": "u", "whatever": 1, "encoding_format": "base64" });
    let list = platform.done("v1/embeddings", list).await;
    let bytes = STANDARD.decode(list["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let numbers: Vec<f32> = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(numbers, vector(&own["vectors"][1]));
    assert_eq!(list["data"][1]["index"], 1);
    let tokens = platform.done("v1/embeddings", json!({ "input": [7, 8, 9] })).await;
    let lists = platform.done("v1/embeddings", json!({ "input": [[1], [7, 8, 9]], "dimensions": 8 })).await;
    assert_eq!(tokens["usage"]["total_tokens"], 3);
    assert_eq!(lists["data"][1]["embedding"], tokens["data"][0]["embedding"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_lists_the_models() {
    let platform = Platform::start().await;
    let hash = json!({ "id": "hash", "object": "model", "created": 0, "owned_by": "hash" });
    assert_eq!(platform.get("v1/models").await, json!({ "object": "list", "data": [hash] }));
    assert_eq!(platform.get("v1/models/hash").await, hash);
    let request = platform.request(reqwest::Method::GET, "v1/models/none");
    let (status, none) = body(request.send().await.unwrap()).await;
    assert_eq!((status.as_u16(), &none["error"]["code"]), (404, &json!("model_not_found")), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_refuses_in_openais_words() {
    let platform = Platform::start().await;
    for (body, status, code, told) in [
        (json!({ "input": "a", "model": "none" }), 404, "model_not_found", "there are: hash"),
        (json!({ "input": [] }), 400, "invalid_argument", "there are none"),
        (json!({ "input": [[]] }), 400, "invalid_argument", "texts[0]"),
        (json!({ "input": ["a", 1] }), 400, "invalid_argument", "mix"),
        (json!({ "input": "a", "dimensions": 4 }), 400, "invalid_argument", "its vectors have 8"),
        (json!({ "input": "a", "encoding_format": "int8" }), 400, "invalid_argument", "int8"),
        (json!({ "model": "hash" }), 400, "invalid_argument", "input"),
    ] {
        let refused = platform.refused("v1/embeddings", body.clone(), status).await;
        let error = &refused["error"];
        assert_eq!((&error["code"], &error["type"]), (&json!(code), &json!("invalid_request_error")), "{body}");
        assert!(error["message"].as_str().unwrap().contains(told), "{body}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_answers_and_refuses_as_ollama() {
    let platform = Platform::with(|config| config.models.get_mut("hash").unwrap().tokens_max = 2).await;
    let own = platform.embed(&["welder", "driver"]).await;
    let asked =
        json!({ "model": "hash:latest", "input": ["welder", "driver"], "keep_alive": "5m", "options": { "x": 1 } });
    let answer = platform.done("api/embed", asked).await;
    assert_eq!((&answer["model"], &answer["embeddings"]), (&json!("hash:latest"), &own["vectors"]));
    assert_eq!((&answer["prompt_eval_count"], &answer["load_duration"]), (&json!(2), &json!(0)));
    assert!(answer["total_duration"].as_u64().unwrap() > 0);
    let one = platform.done("api/embed", json!({ "model": "hash", "input": "driver" })).await;
    assert_eq!(one["embeddings"], json!([own["vectors"][1]]));
    let nothing = platform.done("api/embed", json!({ "model": "hash", "input": [] })).await;
    assert_eq!(nothing["embeddings"], json!([]));
    let none = platform.refused("api/embed", json!({ "model": "none", "input": "a" }), 404).await;
    assert!(none["error"].as_str().unwrap().contains("there are: hash"), "{none}");
    let cut = platform.refused("api/embed", json!({ "model": "hash", "input": "a", "dimensions": 4 }), 400).await;
    assert!(cut["error"].as_str().unwrap().contains("its vectors have 8"), "{cut}");
    let long = json!({ "model": "hash", "input": "a b c", "truncate": false });
    let long = platform.refused("api/embed", long, 400).await;
    assert!(long["error"].as_str().unwrap().contains("it has 3 tokens"), "{long}");
}
