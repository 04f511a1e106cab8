//! `POST /v1/ingest/{name}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use kit::extract::{Path, Query};
use kit::{Caller, Problem};

use super::body::receive;
use super::parameters::Parameters;
use super::wire;
use crate::ingest::{Admission, Ingests};

/// Makes rows of a file: a new dataset, more rows of one, or other rows in its place.
///
/// The body is the file itself or a multipart form with the one field `file`; gzip and zstd are
/// taken by `Content-Encoding` and by the file's first bytes. 201 where the dataset is new, else 200.
#[utoipa::path(
    post,
    path = "/v1/ingest/{name}",
    tag = "ingest",
    params(("name" = String, Path, description = "The dataset"), Parameters),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "The dataset was created", body = wire::Ingested),
        (status = 200, description = "A version was added", body = wire::Ingested),
        (status = 400, description = "A parameter or the file is not valid; a malformed row has `line`, `column`, `value`"),
        (status = 404, description = "append: there is no such dataset"),
        (status = 409, description = "create: it exists; append or replace: other columns (`missing`, `extra`, `types`)"),
        (status = 413, description = "Longer than `max_upload_bytes`, or expanded longer than `max_expanded_bytes`"),
        (status = 415, description = "A content type or encoding that is not read"),
        (status = 503, description = "`concurrent_ingests_max` are running, or a peer is away"),
        (status = 504, description = "Longer than `request_timeout`"),
        (status = 507, description = "No room in the spool or in storage"),
    )
)]
pub(crate) async fn post(
    State(ingests): State<Arc<Ingests>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Result<(StatusCode, Json<wire::Ingested>), Problem> {
    let (wanted, hint) = parameters.into_request(&name)?;
    let done = match ingests.admit(&caller, wanted).await? {
        Admission::Done(done) => *done,
        Admission::Go(admitted) => {
            let (body, said) = receive(&ingests, request, hint).await?;
            ingests.run(*admitted, said, body).await?
        }
    };
    let status = if done.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(done.into())))
}
