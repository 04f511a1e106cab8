//! `POST /v1/embeddings` and `GET /v1/models`, as OpenAI has them.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use kit::{Code, Problem};
use serde_json::json;

use super::negotiate::{self, JSON};
use super::{Desk, answer, body, wire};
use crate::embedder::NewEmbed;
use crate::models::Model;

/// OpenAI's embeddings: texts or tokens into vectors.
///
/// Unknown fields are ignored, `user` among them. `dimensions` is refused unless it is what the model has anyway.
/// Texts that are too long are cut off.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "embeddings",
    operation_id = "openai_embeddings",
    request_body = wire::OpenAiEmbed,
    responses(
        (status = 200, description = "As OpenAI answers", body = wire::OpenAiEmbedded),
        (status = 400, description = "As OpenAI refuses: `{\"error\": {\"message\", \"type\", \"param\", \"code\"}}`"),
        (status = 404, description = "No such model"),
        (status = 429, description = "The upstream takes no more: Retry-After says when"),
    )
)]
pub(super) async fn embeddings(State(desk): State<Desk>, request: Request) -> Response {
    answered(&desk, request).await.unwrap_or_else(refused)
}

async fn answered(desk: &Desk, request: Request) -> Result<Response, Problem> {
    negotiate::content(request.headers(), false)?;
    let body = body::read(desk, request).await?;
    let embedder = desk.embedder.clone();
    let prepared = body::work(desk, body, move |body| {
        let asked: wire::OpenAiEmbed = body::parse(&body)?;
        let as_base64 = asked.as_base64()?;
        let model = asked.model.filter(|model| !model.is_empty());
        can_have(asked.dimensions, &*embedder.models().resolve(model.as_deref())?)?;
        let asked = NewEmbed { model, inputs: asked.input.0, normalize: None, truncate: true };
        Ok((embedder.prepare(asked)?, as_base64))
    });
    let (prepared, as_base64) = prepared.await?;
    let embedded = desk.embedder.finish(prepared).await?;
    answer::write(desk, embedded, move |embedded| Ok(answer::as_json(answer::openai(embedded, as_base64)))).await
}

/// Vectors are never cut: an answer of another length than was asked for would be worse than none.
///
/// # Errors
/// 400 for `dimensions` that the model does not have anyway.
pub(super) fn can_have(dimensions: Option<u64>, model: &Model) -> Result<(), Problem> {
    let Some(dimensions) = dimensions else { return Ok(()) };
    let known = model.dimension();
    if known.map(|known| known as u64) == Some(dimensions) {
        return Ok(());
    }
    let has = known.map_or(String::new(), |known| format!(": its vectors have {known}"));
    Err(Problem::invalid(format!("dimensions: this model cannot be cut to {dimensions}{has}")))
}

/// The models as OpenAI lists them.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "embeddings",
    operation_id = "openai_models",
    responses((status = 200, description = "All of them", body = wire::OpenAiModels))
)]
pub(super) async fn models(State(desk): State<Desk>) -> Json<wire::OpenAiModels> {
    let ready = desk.embedder.models().ready();
    Json(wire::OpenAiModels::of(ready.iter().map(|model| wire::OpenAiModel::of(model))))
}

/// One model as OpenAI shows it.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    tag = "embeddings",
    operation_id = "openai_model",
    params(("model" = String, Path, description = "As it is configured")),
    responses(
        (status = 200, description = "It can be used", body = wire::OpenAiModel),
        (status = 404, description = "No such model"),
    )
)]
pub(super) async fn model(State(desk): State<Desk>, Path(name): Path<String>) -> Response {
    match desk.embedder.models().resolve(Some(&name)) {
        Ok(model) => Json(wire::OpenAiModel::of(&model)).into_response(),
        Err(error) => refused(error.into()),
    }
}

/// With OpenAI's body, which its clients take messages from.
fn refused(problem: Problem) -> Response {
    let status = problem.code.http_status();
    let kind = match problem.code {
        Code::ResourceExhausted => "rate_limit_error",
        _ if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    };
    let code = if problem.code == Code::NotFound { "model_not_found" } else { problem.code.as_str() };
    let body = json!({ "error": { "message": problem.detail, "type": kind, "param": null, "code": code } });
    with_body(problem, &body)
}

/// A problem's response with another body.
pub(super) fn with_body(problem: Problem, body: &serde_json::Value) -> Response {
    let (mut parts, _) = problem.into_response().into_parts();
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, body.to_string().into())
}
