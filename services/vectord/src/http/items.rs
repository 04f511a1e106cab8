//! What is done with items, but for finding the nearest.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use kit::extract::Path;
use kit::{Caller, Problem};

use super::negotiate::{self, Format};
use super::{answer, body, wire};
use crate::arrow;
use crate::batch::NewItem;
use crate::indexes::{Indexes, NewScroll, Which};

/// Adds or updates items: all of them, or none. What it answers is on the disk and is found.
///
/// The body is JSON, or an Arrow IPC stream (`application/vnd.apache.arrow.stream`) with the columns `id`
/// (text), `vector` (a list of numbers), `text` and `metadata` (the text of a JSON object); nulls are left out.
#[utoipa::path(
    post,
    path = "/v1/vectors/index/{name}/add",
    tag = "vectors",
    operation_id = "add_items",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    request_body(content(
        (wire::Add = "application/json"),
        (Vec<u8> = "application/vnd.apache.arrow.stream"),
    )),
    responses(
        (status = 200, description = "All are there", body = wire::Added),
        (status = 400, description = "What is wrong with which item: `items[3].vector: …`"),
        (status = 404, description = "No such index"),
        (status = 409, description = "It follows a dataset, or embedd's model is not the index's any more"),
        (status = 413, description = "More than `batch_bytes_max` or `items_per_batch_max`"),
        (status = 415, description = "Neither JSON nor Arrow"),
        (status = 502, description = "embedd gave no valid answer"),
        (status = 503, description = "Too much waits, or embedd is not there: Retry-After says when"),
        (status = 504, description = "Texts that took longer than `embed_timeout`"),
        (status = 507, description = "No memory or disk for more"),
    )
)]
pub(super) async fn add(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<wire::Added>, Problem> {
    let format = negotiate::content(request.headers(), &[Format::Json, Format::Arrow])?;
    let items = parse(&indexes, format, body::batch(&indexes, request).await?).await?;
    Ok(Json(indexes.add(&caller, &name, items).await?.into()))
}

async fn parse(indexes: &Indexes, format: Format, body: Bytes) -> Result<Vec<NewItem>, Problem> {
    let of = indexes.clone();
    let parsed = indexes.batches().run(move || match format {
        Format::Json => body::parse::<wire::Add>(&body).map(Vec::from),
        Format::Arrow => arrow::read(body, of.config()).map_err(Problem::from),
    });
    parsed.await?
}

/// Deletes items, by their ids or by a filter.
#[utoipa::path(
    post,
    path = "/v1/vectors/index/{name}/delete",
    tag = "vectors",
    operation_id = "delete_items",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    request_body = wire::Delete,
    responses(
        (status = 200, description = "They are no more", body = wire::Deleted),
        (status = 400, description = "An id or filter that is not valid, or not exactly one of them"),
        (status = 404, description = "No such index"),
        (status = 409, description = "It follows a dataset"),
        (status = 413, description = "More ids than `items_per_batch_max`"),
    )
)]
pub(super) async fn delete(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<wire::Deleted>, Problem> {
    let asked: wire::Delete = body::json(&indexes, request).await?;
    let deleted = indexes.delete(&caller, &name, Which::try_from(asked)?).await?;
    Ok(Json(wire::Deleted { deleted }))
}

/// All items, or those that match, page by page, in an order that stays the same while items come and go.
#[utoipa::path(
    post,
    path = "/v1/vectors/index/{name}/scroll",
    tag = "vectors",
    operation_id = "scroll_items",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    request_body = wire::Scroll,
    responses(
        (status = 200, description = "A page of them", body = wire::Items),
        (status = 400, description = "A cursor or filter that is not valid"),
        (status = 404, description = "No such index"),
    )
)]
pub(super) async fn scroll(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let asked: wire::Scroll = body::json_or_nothing(&indexes, request).await?;
    let page = indexes.scroll(&caller, &name, NewScroll::try_from(asked)?).await?;
    Ok(answer::as_json(answer::page(&page)))
}

/// How many items there are, or match.
#[utoipa::path(
    post,
    path = "/v1/vectors/index/{name}/count",
    tag = "vectors",
    operation_id = "count_items",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    request_body = wire::Count,
    responses(
        (status = 200, description = "So many", body = wire::Counted),
        (status = 400, description = "A filter that is not valid"),
        (status = 404, description = "No such index"),
    )
)]
pub(super) async fn count(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<wire::Counted>, Problem> {
    let asked: wire::Count = body::json_or_nothing(&indexes, request).await?;
    let count = indexes.count(&caller, &name, asked.filter()?).await?;
    Ok(Json(wire::Counted { count }))
}

/// An item.
#[utoipa::path(
    get,
    path = "/v1/vectors/index/{name}/items/{id}",
    tag = "vectors",
    operation_id = "get_item",
    params(
        ("name" = String, Path, description = "The index, or an alias of it"),
        ("id" = String, Path, description = "The item; slashes may stand as they are"),
    ),
    responses(
        (status = 200, description = "It, with its vector", body = wire::Item),
        (status = 404, description = "No such index or item"),
    )
)]
pub(super) async fn get(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let item = indexes.item(&caller, &name, &id).await?;
    Ok(answer::as_json(answer::item(&item)))
}
