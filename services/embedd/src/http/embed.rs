//! `POST /v1/embed`

use axum::extract::{Request, State};
use axum::response::Response;
use kit::Problem;
use kit::extract::Query;

use super::negotiate::{self, Format};
use super::{Desk, answer, body, wire};
use crate::arrow;
use crate::embedder::NewEmbed;

/// The vectors of texts.
///
/// Texts come as JSON or, for bulk, as an Arrow IPC stream (`application/vnd.apache.arrow.stream`) with the column
/// `text`; then `model`, `normalize` and `truncate` are query parameters. By `Accept` the answer is JSON, or
/// Arrow with the columns `vector` and `tokens`, where the stream's metadata has `model`, `fingerprint`,
/// `dimension` and `cached`.
#[utoipa::path(
    post,
    path = "/v1/embed",
    tag = "embeddings",
    operation_id = "embed",
    params(wire::EmbedQuery),
    request_body(content((wire::Embed = "application/json"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
    responses(
        (status = 200, description = "In the order of the texts", content(
            (wire::Embedded = "application/json"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
        )),
        (status = 400, description = "No texts, what is no text, a text that is too long with `truncate` off"),
        (status = 404, description = "No such model; the detail names those there are"),
        (status = 413, description = "Beyond `texts_max`, `text_bytes_max` or `body_bytes_max`"),
        (status = 429, description = "The upstream takes no more: Retry-After says when"),
        (status = 502, description = "The upstream fails or answers what it must not"),
        (status = 503, description = "Too much waits: Retry-After says when"),
        (status = 504, description = "Longer than `embed_timeout`"),
    )
)]
pub(super) async fn embed(
    State(desk): State<Desk>,
    Query(query): Query<wire::EmbedQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let format = negotiate::accepted(request.headers())?;
    let content = negotiate::content(request.headers(), true)?;
    if content == Format::Json && query != wire::EmbedQuery::default() {
        return Err(Problem::invalid("query parameters are for Arrow bodies: this one has its fields in the body"));
    }
    let body = body::read(&desk, request).await?;
    let embedder = desk.embedder.clone();
    let prepared = body::work(&desk, body, move |body| {
        let asked = match content {
            Format::Json => body::parse::<wire::Embed>(&body)?.into(),
            Format::Arrow => {
                let inputs = arrow::read(body, embedder.config())?;
                NewEmbed { inputs, ..query.into() }
            }
        };
        Ok(embedder.prepare(asked)?)
    });
    let prepared = prepared.await?;
    let embedded = desk.embedder.finish(prepared).await?;
    answer::write(&desk, embedded, move |embedded| {
        Ok(match format {
            Format::Json => answer::as_json(answer::own(embedded)),
            Format::Arrow => answer::as_arrow(arrow::write(embedded)?),
        })
    })
    .await
}
