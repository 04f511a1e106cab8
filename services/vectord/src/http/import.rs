//! `/v1/vectors/index/{name}/import` and below.

use axum::Json;
use axum::extract::{Request, State};
use kit::extract::Path;
use kit::{Caller, Problem};

use super::{body, wire};
use crate::indexes::Indexes;

/// Begins to bring a dataset's rows into an index, in the background. Rows whose item is there update it.
#[utoipa::path(
    post,
    path = "/v1/vectors/index/{name}/import",
    tag = "vectors",
    operation_id = "begin_import",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    request_body = wire::BeginImport,
    responses(
        (status = 200, description = "It has begun: ask for its progress by its id", body = wire::Import),
        (status = 404, description = "No such index"),
        (status = 409, description = "It follows a dataset"),
        (status = 503, description = "As many imports as there may be"),
    )
)]
pub(super) async fn begin(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<wire::Import>, Problem> {
    let asked: wire::BeginImport = body::json(&indexes, request).await?;
    Ok(Json(indexes.import(&caller, &name, asked.into()).await?.into()))
}

/// The imports into an index that are remembered, the newest first.
#[utoipa::path(
    get,
    path = "/v1/vectors/index/{name}/import",
    tag = "vectors",
    operation_id = "list_imports",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    responses(
        (status = 200, description = "Those that go on and those that have ended, from before a restart too", body = wire::Imports),
        (status = 404, description = "No such index"),
    )
)]
pub(super) async fn list(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<wire::Imports>, Problem> {
    Ok(Json(indexes.imports(&caller, &name)?.into()))
}

/// An import and its progress.
#[utoipa::path(
    get,
    path = "/v1/vectors/index/{name}/import/{id}",
    tag = "vectors",
    operation_id = "get_import",
    params(
        ("name" = String, Path, description = "The index, or an alias of it"),
        ("id" = String, Path, description = "The import"),
    ),
    responses(
        (status = 200, description = "How far it is", body = wire::Import),
        (status = 404, description = "No such index or import"),
    )
)]
pub(super) async fn get(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<wire::Import>, Problem> {
    Ok(Json(indexes.find_import(&caller, &name, &id)?.into()))
}
