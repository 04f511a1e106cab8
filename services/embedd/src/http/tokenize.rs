//! `POST /v1/embed/tokenize`

use axum::Json;
use axum::extract::{Request, State};
use kit::Problem;
use kit::extract::NoQuery;

use super::{Desk, body, negotiate, wire};

/// The tokens of texts as a model reads them.
#[utoipa::path(
    post,
    path = "/v1/embed/tokenize",
    tag = "embeddings",
    operation_id = "tokenize",
    request_body = wire::Tokenize,
    responses(
        (status = 200, description = "In the order of the texts", body = wire::Tokenized),
        (status = 404, description = "No such model; the detail names those there are"),
        (status = 413, description = "Beyond `texts_max`, `text_bytes_max` or `body_bytes_max`"),
        (status = 501, description = "Only the upstream knows this model's tokens"),
    )
)]
pub(super) async fn tokenize(
    State(desk): State<Desk>,
    _: NoQuery,
    request: Request,
) -> Result<Json<wire::Tokenized>, Problem> {
    negotiate::content(request.headers(), false)?;
    let body = body::read(&desk, request).await?;
    let asked = body::work(&desk, body, |body| body::parse::<wire::Tokenize>(&body)).await?;
    let (model, tokens) = desk.embedder.tokenize(asked.model.as_deref(), asked.texts.0).await?;
    Ok(Json(wire::Tokenized::of(&model, tokens)))
}
