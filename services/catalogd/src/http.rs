//! REST under `/v1/catalog`.

mod datasets;
mod register;
mod wire;

use axum::Router;
use axum::routing::{get, post};
use utoipa::OpenApi;

use crate::catalog::Catalog;

#[derive(OpenApi)]
#[openapi(
    info(title = "catalogd", description = "Datasets: names, versions, the Parquet objects each version is made of."),
    paths(register::register, datasets::list, datasets::get, datasets::delete, datasets::versions)
)]
struct Api;

/// What `/openapi.json` answers.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub(crate) fn routes(catalog: Catalog) -> Router {
    Router::new()
        .route("/v1/catalog/register", post(register::register))
        .route("/v1/catalog/datasets", get(datasets::list))
        .route("/v1/catalog/datasets/{name}", get(datasets::get).delete(datasets::delete))
        .route("/v1/catalog/datasets/{name}/versions", get(datasets::versions))
        .with_state(catalog)
}
