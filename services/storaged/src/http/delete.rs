use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use kit::extract::NoQuery;
use kit::{Caller, Problem};

use super::path::RawKey;
use super::put::condition;
use crate::space::Space;

/// Deletes an object. Where there is none, that is no error (as in S3), unless If-Match asks for
/// one.
#[utoipa::path(
    delete,
    path = "/v1/storage/{key}",
    tag = "storage",
    params(
        ("key" = String, Path, description = "May hold /"),
        ("If-Match" = Option<String>, Header, description = "Only while the object is still this one"),
    ),
    responses(
        (status = 204, description = "There is no such object any more"),
        (status = 400, description = "The key is not valid"),
        (status = 412, description = "If-Match does not hold"),
    ),
)]
pub(crate) async fn delete(
    State(space): State<Arc<Space>>,
    caller: Caller,
    RawKey(key): RawKey,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    space.delete(&caller, &key, &condition(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
