//! `GET /v1/sql/schema`

use axum::Json;
use axum::extract::State;
use kit::extract::Query;
use kit::{Caller, Problem};

use super::wire::{SchemaAnswer, SchemaQuery};
use crate::service::Service;

/// Every dataset that the caller may query, with its columns and rows, a page at a time: for tools
/// that complete, browse or generate SQL.
#[utoipa::path(get, path = "/v1/sql/schema", params(SchemaQuery), responses(
    (status = 200, body = SchemaAnswer),
    (status = 400, description = "invalid_argument: a limit or cursor that is not valid"),
))]
pub(super) async fn schema(
    State(service): State<Service>,
    caller: Caller,
    Query(query): Query<SchemaQuery>,
) -> Result<Json<SchemaAnswer>, Problem> {
    let page = service.datasets(&caller, query.limit, query.cursor.as_deref()).await?;
    Ok(Json(page.into()))
}
