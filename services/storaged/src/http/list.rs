use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kit::extract::Query;
use kit::{Caller, Problem};

use super::wire::{ListParameters, Page};
use crate::space::Space;

/// Lists objects in byte order of their keys, a page at a time.
#[utoipa::path(
    get,
    path = "/v1/storage",
    tag = "storage",
    params(ListParameters),
    responses((status = 200, description = "One page", body = Page), (status = 400, description = "A parameter is not valid")),
)]
pub(crate) async fn list(
    State(space): State<Arc<Space>>,
    caller: Caller,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<Page>, Problem> {
    let page = space.list(&caller, parameters.into()).await?;
    Ok(Json(page.into()))
}
