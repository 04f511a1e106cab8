//! `GET /v1/sql/schema`

use axum::Json;
use axum::extract::State;
use kit::{Caller, Problem};

use super::wire::SchemaAnswer;
use crate::service::Service;

/// Every dataset that the caller may query, with its columns and rows: for tools that complete,
/// browse or generate SQL.
#[utoipa::path(get, path = "/v1/sql/schema", responses((status = 200, body = SchemaAnswer)))]
pub(super) async fn schema(State(service): State<Service>, caller: Caller) -> Result<Json<SchemaAnswer>, Problem> {
    let datasets = service.datasets(&caller).await?;
    Ok(Json(SchemaAnswer { datasets: datasets.iter().map(|dataset| dataset.as_ref().into()).collect() }))
}
