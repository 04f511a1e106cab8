//! `/v1/vectors/index`, each index, and what is done to one as a whole.

use axum::Json;
use axum::extract::{Request, State};
use http::header::LOCATION;
use http::{HeaderName, StatusCode};
use kit::extract::{Path, Query};
use kit::{Caller, Problem};

use super::{body, wire};
use crate::indexes::Indexes;

/// Makes an index. One with a `source` fills itself, in the background.
#[utoipa::path(
    post,
    path = "/v1/vectors/index",
    tag = "vectors",
    operation_id = "create_index",
    request_body = wire::CreateIndex,
    responses(
        (status = 201, description = "It is there", body = wire::Index, headers(("location" = String))),
        (status = 400, description = "A name or number that is not valid"),
        (status = 404, description = "No such model or dataset"),
        (status = 409, description = "An index or alias of that name exists"),
        (status = 413, description = "As many indexes as there may be"),
        (status = 503, description = "embedd or catalogd is needed and not there: nothing was made"),
    )
)]
pub(super) async fn create(
    State(indexes): State<Indexes>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<wire::Index>), Problem> {
    let asked: wire::CreateIndex = body::json(&indexes, request).await?;
    let index: wire::Index = indexes.create(&caller, asked.of(&caller)?).await?.into();
    let location = format!("/v1/vectors/index/{}", index.name);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(index)))
}

/// The indexes, by name.
#[utoipa::path(
    get,
    path = "/v1/vectors/index",
    tag = "vectors",
    operation_id = "list_indexes",
    params(wire::PageQuery),
    responses(
        (status = 200, description = "A page of them", body = wire::Indexes),
        (status = 400, description = "A limit or cursor that is not valid"),
    )
)]
pub(super) async fn list(
    State(indexes): State<Indexes>,
    caller: Caller,
    Query(query): Query<wire::PageQuery>,
) -> Result<Json<wire::Indexes>, Problem> {
    let after = query.cursor.as_deref().map(super::place).transpose()?.unwrap_or_default();
    let (listed, next) = indexes.list(&caller, query.limit.unwrap_or(0), &after)?;
    let next_cursor = next.as_deref().map(super::cursor);
    Ok(Json(wire::Indexes { indexes: listed.into_iter().map(wire::ListedIndex::from).collect(), next_cursor }))
}

/// An index as it stands.
#[utoipa::path(
    get,
    path = "/v1/vectors/index/{name}",
    tag = "vectors",
    operation_id = "get_index",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    responses(
        (status = 200, description = "What it is and holds", body = wire::Index),
        (status = 404, description = "No such index"),
        (status = 503, description = "It is being loaded, or could not be"),
    )
)]
pub(super) async fn get(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<wire::Index>, Problem> {
    Ok(Json(indexes.info(&caller, &name)?.into()))
}

/// Deletes an index, its snapshots and the aliases of it.
#[utoipa::path(
    delete,
    path = "/v1/vectors/index/{name}",
    tag = "vectors",
    operation_id = "delete_index",
    params(("name" = String, Path, description = "The index, not an alias")),
    responses(
        (status = 204, description = "It is no more"),
        (status = 404, description = "No such index"),
        (status = 409, description = "An alias: delete that, or the index"),
        (status = 503, description = "It is being loaded"),
    )
)]
pub(super) async fn delete(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    indexes.delete_index(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes what the index holds into a snapshot, here and in storage, so that its log can be cut.
#[utoipa::path(
    post,
    path = "/v1/vectors/index/{name}/snapshot",
    tag = "vectors",
    operation_id = "snapshot_index",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    responses(
        (status = 200, description = "The index with its snapshot", body = wire::Index),
        (status = 404, description = "No such index"),
        (status = 502, description = "Storage gave no valid answer"),
    )
)]
pub(super) async fn snapshot(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<wire::Index>, Problem> {
    Ok(Json(indexes.snapshot(&caller, &name).await?.into()))
}

/// Reclaims what deletes have left.
#[utoipa::path(
    post,
    path = "/v1/vectors/index/{name}/compact",
    tag = "vectors",
    operation_id = "compact_index",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    responses(
        (status = 200, description = "The index without it", body = wire::Index),
        (status = 404, description = "No such index"),
    )
)]
pub(super) async fn compact(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<wire::Index>, Problem> {
    Ok(Json(indexes.compact(&caller, &name).await?.into()))
}
