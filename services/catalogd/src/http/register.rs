//! `POST /v1/catalog/register`

use axum::extract::State;
use http::StatusCode;
use kit::extract::{Json, NoQuery};
use kit::{Caller, Problem};

use super::wire;
use crate::catalog::{Catalog, Registration};

/// Adds Parquet objects of the caller's storage to a dataset, which is created where it is not
/// there. The objects are copied. 201 where the dataset is new, 200 where it was there.
#[utoipa::path(
    post,
    path = "/v1/catalog/register",
    request_body = wire::Register,
    responses(
        (status = 200, description = "A new version of a dataset that was there", body = wire::Registered),
        (status = 201, description = "A new dataset", body = wire::Registered),
        (status = 400, description = "A name, key or object that is not valid"),
        (status = 404, description = "No such object, or no such dataset to append to"),
        (status = 409, description = "Another schema, or a dataset that exists already"),
        (status = 413, description = "More objects than one request or dataset may have"),
        (status = 503, description = "The newest manifest cannot be read, or other writers were quicker for too long"),
    )
)]
pub(super) async fn register(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoQuery,
    Json(body): Json<wire::Register>,
) -> Result<(StatusCode, axum::Json<wire::Registered>), Problem> {
    let wanted = Registration::try_from(body)?;
    let name = wanted.name.clone();
    let registered = wire::Registered::new(&name, catalog.register(&caller, wanted).await?);
    let status = if registered.existing { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(registered)))
}
