//! REST.

mod answer;
mod explain;
mod negotiate;
mod schema;
mod sql;
mod wire;

use axum::Router;
use axum::routing::{get, post};
use utoipa::OpenApi;

pub(crate) use wire::parameters;

use crate::service::Service;

#[derive(OpenApi)]
#[openapi(
    info(title = "queryd", description = "SQL over the registered datasets"),
    paths(sql::run, sql::run_short, explain::explain, schema::schema)
)]
struct Api;

/// What `/openapi.json` answers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub(crate) fn router(service: Service) -> Router {
    Router::new()
        .route("/v1/sql", post(sql::run))
        .route("/sql", post(sql::run_short))
        .route("/v1/sql/explain", post(explain::explain))
        .route("/v1/sql/schema", get(schema::schema))
        .with_state(service)
}
