//! `GET /v1/embed/models`

use axum::Json;
use axum::extract::State;
use kit::extract::NoQuery;

use super::{Desk, wire};

/// The models that can be used, by name.
#[utoipa::path(
    get,
    path = "/v1/embed/models",
    tag = "embeddings",
    operation_id = "list_embedding_models",
    responses((status = 200, description = "All of them", body = wire::Models))
)]
pub(super) async fn models(State(desk): State<Desk>, _: NoQuery) -> Json<wire::Models> {
    let models = desk.embedder.models();
    let described = models.ready().iter().map(|model| wire::Model::of(model, models.is_default(model))).collect();
    Json(wire::Models { models: described, next_cursor: None })
}
