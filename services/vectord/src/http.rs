//! REST under `/v1/vectors`.

mod alias;
mod answer;
mod body;
mod cursor;
mod import;
mod index;
mod items;
mod negotiate;
mod search;
mod wire;

use axum::Router;
use axum::middleware::from_extractor;
use axum::routing::{get, post, put};
use kit::extract::NoQuery;
use utoipa::OpenApi;

use crate::indexes::Indexes;

pub(crate) use cursor::{cursor, place};
pub(crate) use wire::{K_DEFAULT, metadata};

#[derive(OpenApi)]
#[openapi(
    info(title = "vectord", description = "Vector indexes: items with a string id, a vector and JSON metadata."),
    paths(
        index::create,
        index::list,
        index::get,
        index::delete,
        index::snapshot,
        index::compact,
        items::add,
        search::search,
        items::delete,
        items::scroll,
        items::count,
        items::get,
        import::begin,
        import::list,
        import::get,
        alias::list,
        alias::set,
        alias::delete,
    )
)]
struct Api;

/// What `/openapi.json` answers.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub(crate) fn routes(indexes: Indexes) -> Router {
    let of_one = Router::new()
        .route("/", get(index::get).delete(index::delete))
        .route("/snapshot", post(index::snapshot))
        .route("/compact", post(index::compact))
        .route("/add", post(items::add))
        .route("/search", post(search::search))
        .route("/delete", post(items::delete))
        .route("/scroll", post(items::scroll))
        .route("/count", post(items::count))
        .route("/items/{*id}", get(items::get))
        .route("/import", get(import::list).post(import::begin))
        .route("/import/{id}", get(import::get));
    Router::new()
        .nest("/v1/vectors/index/{name}", of_one)
        .route("/v1/vectors/index", post(index::create))
        .route("/v1/vectors/alias", get(alias::list))
        .route("/v1/vectors/alias/{alias}", put(alias::set).delete(alias::delete))
        .route_layer(from_extractor::<NoQuery>())
        // The one that takes parameters.
        .route("/v1/vectors/index", get(index::list))
        .with_state(indexes)
}
