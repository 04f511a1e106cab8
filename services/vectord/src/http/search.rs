//! `POST /v1/vectors/index/{name}/search`

use axum::extract::{Request, State};
use axum::response::Response;
use kit::extract::Path;
use kit::{Caller, Problem};

use super::answer::Shape;
use super::negotiate::{self, Format};
use super::{answer, body, wire};
use crate::arrow;
use crate::indexes::{Answers, Indexes, NewSearch};

/// More results are written off the async workers.
const INLINE_RESULTS_MAX: usize = 1_000;

/// The items nearest to a vector, to an item's vector, to a text, or to each of several vectors or texts.
///
/// By `Accept` the answer is JSON or an Arrow IPC stream (`application/vnd.apache.arrow.stream`) with the
/// columns `query`, `id`, `distance`, `score`, and as asked `metadata` (JSON text) and `vector`.
#[utoipa::path(
    post,
    path = "/v1/vectors/index/{name}/search",
    tag = "vectors",
    operation_id = "search_items",
    params(("name" = String, Path, description = "The index, or an alias of it")),
    request_body = wire::Search,
    responses(
        (status = 200, description = "The nearest first", content(
            (wire::SearchResults = "application/json"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
        )),
        (status = 400, description = "A vector, number or filter that is not valid"),
        (status = 404, description = "No such index, or no item of the given id"),
        (status = 406, description = "Neither JSON nor Arrow is accepted"),
        (status = 409, description = "A text, where embedd's model is not the index's any more"),
        (status = 413, description = "More than `vectors_per_search_max`"),
        (status = 502, description = "embedd gave no valid answer"),
        (status = 503, description = "Too many searches wait, or embedd is not there: Retry-After says when"),
        (status = 504, description = "Longer than `search_timeout`"),
    )
)]
pub(super) async fn search(
    State(indexes): State<Indexes>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let format = negotiate::accepted(request.headers())?;
    let asked: wire::Search = body::json(&indexes, request).await?;
    let shape = asked.shape();
    let answers = indexes.search(&caller, &name, NewSearch::try_from(asked)?).await?;
    if answers.lists.iter().map(Vec::len).sum::<usize>() <= INLINE_RESULTS_MAX {
        return write(format, &answers, shape);
    }
    indexes.batches().run(move || write(format, &answers, shape)).await?
}

fn write(format: Format, answers: &Answers, shape: Shape) -> Result<Response, Problem> {
    Ok(match format {
        Format::Json => answer::as_json(answer::search(answers, shape)),
        Format::Arrow => answer::as_arrow(arrow::write(answers, shape.with_metadata, shape.with_vector)?),
    })
}
