//! REST: `/v1/storage`.

mod delete;
mod get;
mod list;
mod path;
mod put;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use utoipa::OpenApi;

use crate::space::Space;

pub(crate) fn router(space: Arc<Space>) -> Router {
    let object = get(get::get).head(get::head).put(put::put).delete(delete::delete);
    Router::new()
        .route("/v1/storage", get(list::list))
        // An empty key, which is refused as one.
        .route("/v1/storage/", object.clone())
        .route("/v1/storage/{*key}", object)
        .with_state(space)
}

/// The REST contract of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Contract::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "storaged", description = "Objects: the caller's own key space"),
    paths(put::put, get::get, get::head, delete::delete, list::list),
    components(schemas(wire::Stored, wire::Page, wire::Entry))
)]
struct Contract;
