//! `/v1/vectors/alias` and below.

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use kit::extract::Path;
use kit::{Caller, Problem};

use super::{body, wire};
use crate::indexes::Indexes;

/// The aliases, by name.
#[utoipa::path(
    get,
    path = "/v1/vectors/alias",
    tag = "vectors",
    operation_id = "list_aliases",
    responses((status = 200, description = "All of them", body = wire::Aliases))
)]
pub(super) async fn list(State(indexes): State<Indexes>, caller: Caller) -> Json<wire::Aliases> {
    Json(wire::Aliases::new(indexes.aliases(&caller)))
}

/// Makes an alias mean an index, whatever it meant before: a request goes to the one or the other.
#[utoipa::path(
    put,
    path = "/v1/vectors/alias/{alias}",
    tag = "vectors",
    operation_id = "set_alias",
    params(("alias" = String, Path, description = "The alias")),
    request_body = wire::AliasTarget,
    responses(
        (status = 200, description = "It does", body = wire::Alias),
        (status = 400, description = "A name that is not valid"),
        (status = 404, description = "No such index"),
        (status = 409, description = "There is an index of that name"),
        (status = 413, description = "As many aliases as there may be"),
    )
)]
pub(super) async fn set(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(alias): Path<String>,
    request: Request,
) -> Result<Json<wire::Alias>, Problem> {
    let wire::AliasTarget { index } = body::json(&indexes, request).await?;
    indexes.set_alias(&caller, &alias, &index).await?;
    Ok(Json(wire::Alias { alias, index }))
}

/// Deletes an alias, not the index that it means.
#[utoipa::path(
    delete,
    path = "/v1/vectors/alias/{alias}",
    tag = "vectors",
    operation_id = "delete_alias",
    params(("alias" = String, Path, description = "The alias")),
    responses((status = 204, description = "It is no more"), (status = 404, description = "No such alias"))
)]
pub(super) async fn delete(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(alias): Path<String>,
) -> Result<StatusCode, Problem> {
    indexes.delete_alias(&caller, &alias).await?;
    Ok(StatusCode::NO_CONTENT)
}
