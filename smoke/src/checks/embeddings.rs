//! Texts become vectors that are near where the meanings are, over each protocol the same, and computed once.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::context::Context;
use crate::http::Http;

pub(super) const MODEL: &str = "all-MiniLM-L6-v2";
const DIMENSION: usize = 384;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let (http, name) = (&context.http, context.name("texts"));
    let texts = ["welder wanted", "we need someone who joins metal", "the nurse works at night"];
    let texts = texts.map(|text| format!("{text} ({name})"));
    let first = embed(http, &json!({ "texts": texts })).await?;
    ensure!(first["model"] == MODEL && first["dimension"] == DIMENSION && first["cached"] == 0, "{}", told(&first));
    let vectors = vectors(&first["vectors"])?;
    let (near, far) = (product(&vectors[0], &vectors[1]), product(&vectors[0], &vectors[2]));
    ensure!((product(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-4 && near > far + 0.1, "near {near}, far {far}");

    let again = embed(http, &json!({ "texts": [texts[2], texts[0]] })).await?;
    ensure!(again["cached"] == 2, "{}", told(&again));
    ensure!(again["vectors"] == json!([first["vectors"][2], first["vectors"][0]]), "the same in another order");

    let openai = http.post_json("/v1/embeddings", &json!({ "model": MODEL, "input": texts[1] })).await?.is(200)?;
    ensure!(openai.json()?["data"][0]["embedding"] == first["vectors"][1], "as OpenAI has it");
    let ollama = http.post_json("/api/embed", &json!({ "model": MODEL, "input": texts[1] })).await?.is(200)?;
    ensure!(ollama.json()?["embeddings"][0] == first["vectors"][1], "as Ollama has it");

    let unknown = json!({ "texts": ["a"], "model": "nobody" });
    http.post_json("/v1/embed", &unknown).await?.problem(404, "not_found").context("unknown model")?;
    http.post_json("/v1/embed", &json!({ "texts": [] })).await?.problem(400, "invalid_argument").context("no text")?;
    let stats = http.get("/v1/embed/stats").await?.is(200)?.json()?;
    ensure!(stats["hits"].as_u64() >= Some(4) && stats["misses"].as_u64() >= Some(3), "{stats}");
    Ok(())
}

async fn embed(http: &Http, request: &Value) -> Result<Value> {
    http.post_json("/v1/embed", request).await?.is(200)?.json()
}

/// An answer without its numbers.
fn told(answer: &Value) -> Value {
    json!({ "model": answer["model"], "dimension": answer["dimension"], "cached": answer["cached"] })
}

fn vectors(json: &Value) -> Result<Vec<Vec<f64>>> {
    let vectors: Vec<Vec<f64>> = serde_json::from_value(json.clone()).context("vectors")?;
    ensure!(vectors.iter().all(|vector| vector.len() == DIMENSION), "vectors of another dimension");
    Ok(vectors)
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
