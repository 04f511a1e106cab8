//! `POST /v1/embeddings`, as OpenAI has it.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use kit::{Code, Problem};
use serde_json::json;

use super::negotiate::{self, JSON};
use super::{Desk, answer, body, wire};
use crate::embedder::NewEmbed;

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
        if let Some(dimensions) = asked.dimensions {
            let known = embedder.models().resolve(model.as_deref())?.dimension();
            if known.map(|known| known as u64) != Some(dimensions) {
                let has = known.map_or(String::new(), |known| format!(": its vectors have {known}"));
                return Err(Problem::invalid(format!("dimensions: this model cannot be cut to {dimensions}{has}")));
            }
        }
        let asked = NewEmbed { model, inputs: asked.input.0, normalize: None, truncate: true };
        Ok((embedder.prepare(asked)?, as_base64))
    });
    let (prepared, as_base64) = prepared.await?;
    let embedded = desk.embedder.finish(prepared).await?;
    answer::write(desk, embedded, move |embedded| Ok(answer::as_json(answer::openai(embedded, as_base64)))).await
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
