//! `POST /api/embed`, as Ollama has it.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::Response;
use kit::Problem;
use serde_json::json;

use super::openai::{can_have, with_body};
use super::{Desk, answer, body, negotiate, wire};
use crate::embedder::NewEmbed;

/// Ollama's embeddings: texts into vectors of unit length.
///
/// `keep_alive`, `options` and unknown fields are accepted and ignored; a model may be written with `:latest`.
#[utoipa::path(
    post,
    path = "/api/embed",
    tag = "embeddings",
    operation_id = "ollama_embed",
    request_body = wire::OllamaEmbed,
    responses(
        (status = 200, description = "As Ollama answers", body = wire::OllamaEmbedded),
        (status = 400, description = "As Ollama refuses: `{\"error\"}`"),
        (status = 404, description = "No such model"),
    )
)]
pub(super) async fn embed(State(desk): State<Desk>, request: Request) -> Response {
    answered(&desk, request).await.unwrap_or_else(|problem| {
        let body = json!({ "error": problem.detail });
        with_body(problem, &body)
    })
}

async fn answered(desk: &Desk, request: Request) -> Result<Response, Problem> {
    let began = Instant::now();
    // Its own clients send no content type at all, or JSON.
    negotiate::content(request.headers(), false)?;
    let body = body::read(desk, request).await?;
    let embedder = desk.embedder.clone();
    let prepared = body::work(desk, body, move |body| {
        let asked: wire::OllamaEmbed = body::parse(&body)?;
        let models = embedder.models();
        let plain = asked.model.strip_suffix(":latest").unwrap_or(&asked.model);
        let name = if models.knows(&asked.model) { &asked.model } else { plain };
        let model = Some(name.to_owned()).filter(|name| !name.is_empty());
        can_have(asked.dimensions, &*models.resolve(model.as_deref())?)?;
        let inputs = asked.input.map(|input| input.0).unwrap_or_default();
        if inputs.is_empty() {
            // Ollama answers nothing for nothing.
            return Ok((asked.model, None));
        }
        let truncate = asked.truncate.unwrap_or(true);
        let new = NewEmbed { model, inputs, normalize: Some(true), truncate };
        Ok((asked.model, Some(embedder.prepare(new)?)))
    });
    let (model, prepared) = prepared.await?;
    let Some(prepared) = prepared else {
        return Ok(answer::as_json(json!({ "model": model, "embeddings": [] }).to_string().into_bytes()));
    };
    let embedded = desk.embedder.finish(prepared).await?;
    answer::write(desk, embedded, move |embedded| {
        let total_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(answer::as_json(answer::ollama(embedded, &model, total_ns)))
    })
    .await
}
