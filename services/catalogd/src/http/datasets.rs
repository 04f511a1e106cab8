//! `/v1/catalog/datasets` and below.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use kit::extract::{Path, Query};
use kit::{Caller, Problem};

use super::wire;
use crate::catalog::Catalog;
use crate::name::DatasetName;

/// The datasets, by name.
#[utoipa::path(
    get,
    path = "/v1/catalog/datasets",
    params(wire::PageQuery),
    responses(
        (status = 200, description = "A page of them", body = wire::Datasets),
        (status = 400, description = "A limit or cursor that is not valid"),
    )
)]
pub(super) async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    Query(query): Query<wire::PageQuery>,
) -> Result<Json<wire::Datasets>, Problem> {
    let page = catalog.list(&caller, query.limit(), query.cursor())?;
    Ok(Json(page.into()))
}

/// A dataset as it stands, or one of its versions.
#[utoipa::path(
    get,
    path = "/v1/catalog/datasets/{name}",
    params(("name" = String, Path, description = "The dataset"), wire::VersionQuery),
    responses(
        (status = 200, description = "Its manifest", body = wire::Dataset),
        (status = 404, description = "No such dataset, or no such version"),
    )
)]
pub(super) async fn get(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(raw): Path<String>,
    Query(query): Query<wire::VersionQuery>,
) -> Result<Json<wire::Dataset>, Problem> {
    let name = DatasetName::parse(&raw)?;
    let manifest = catalog.get(&caller, &name, query.version.unwrap_or(0)).await?;
    Ok(Json((&*manifest).into()))
}

/// Deletes a dataset. Its objects are collected later.
#[utoipa::path(
    delete,
    path = "/v1/catalog/datasets/{name}",
    params(("name" = String, Path, description = "The dataset"), wire::DeleteQuery),
    responses(
        (status = 204, description = "It is no more"),
        (status = 404, description = "No such dataset"),
    )
)]
pub(super) async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(raw): Path<String>,
    Query(query): Query<wire::DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let name = DatasetName::parse(&raw)?;
    catalog.delete(&caller, name, query.request_id.unwrap_or_default()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The versions of a dataset that are kept, the newest first.
#[utoipa::path(
    get,
    path = "/v1/catalog/datasets/{name}/versions",
    params(("name" = String, Path, description = "The dataset"), wire::PageQuery),
    responses(
        (status = 200, description = "A page of them", body = wire::Versions),
        (status = 404, description = "No such dataset"),
    )
)]
pub(super) async fn versions(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(raw): Path<String>,
    Query(query): Query<wire::PageQuery>,
) -> Result<Json<wire::Versions>, Problem> {
    let name = DatasetName::parse(&raw)?;
    let page = catalog.versions(&caller, &name, query.limit(), query.cursor()).await?;
    Ok(Json(page.into()))
}
