//! `POST /v1/sql`

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use kit::extract::{Json, NoQuery};
use kit::{Caller, Problem};

use super::wire::SqlRequest;
use super::{answer, negotiate};
use crate::service::Service;

/// Runs one statement that reads. The answer comes by `Accept`: JSON
/// (`{"columns","rows","row_count","truncated"?}`), NDJSON, CSV, an Arrow IPC stream or Parquet. An
/// error on the way of a streamed answer breaks the connection off.
#[utoipa::path(post, path = "/v1/sql", request_body = SqlRequest, responses(
    (status = 200, description = "The rows, as Accept says"),
    (status = 400, description = "invalid_argument: does not parse, bind or compute; no such dataset"),
    (status = 403, description = "permission_denied: not a statement that reads datasets alone"),
    (status = 406, description = "not_acceptable"),
    (status = 503, description = "overloaded: Retry-After says when"),
    (status = 504, description = "deadline_exceeded: longer than timeout_ms"),
))]
pub(super) async fn run(
    State(service): State<Service>,
    caller: Caller,
    _: NoQuery,
    headers: HeaderMap,
    Json(request): Json<SqlRequest>,
) -> Result<Response, Problem> {
    let format = negotiate::format(&headers)?;
    let (first, rest) = service.run(request.query(format)?, caller).await?;
    Ok(answer::respond(format, first, rest))
}

/// The same, for fingers.
#[utoipa::path(post, path = "/sql", request_body = SqlRequest, responses((status = 200, description = "As /v1/sql")))]
pub(super) async fn run_short(
    service: State<Service>,
    caller: Caller,
    no_query: NoQuery,
    headers: HeaderMap,
    request: Json<SqlRequest>,
) -> Result<Response, Problem> {
    run(service, caller, no_query, headers, request).await
}
