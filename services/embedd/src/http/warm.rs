//! `/v1/embed/warm`

use axum::Json;
use axum::extract::{Request, State};
use http::header::CONTENT_TYPE;
use kit::extract::{NoQuery, Path, Query};
use kit::{Caller, Problem};

use super::{Desk, body, negotiate, wire};
use crate::Error;
use crate::warm::{Source, texts};

/// Bodies of one text a line.
const LINES: [&str; 2] = ["text/plain", "application/x-ndjson"];

/// Fills the cache in the background.
///
/// The texts are in the body, as JSON or one a line (`text/plain`, or `application/x-ndjson` with texts or objects
/// with `text`; then `model` is a query parameter), or in a column of a dataset, or they are what memory held
/// when it was last saved.
#[utoipa::path(
    post,
    path = "/v1/embed/warm",
    tag = "embeddings",
    operation_id = "warm",
    params(wire::WarmQuery),
    request_body(content(
        (wire::Warm = "application/json"),
        (String = "text/plain"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "It has begun", body = wire::WarmJob),
        (status = 400, description = "Not exactly one of `texts`, `dataset` with `column`, and `most_used`"),
        (status = 404, description = "No such model; the detail names those there are"),
        (status = 413, description = "Beyond `body_bytes_max`"),
        (status = 503, description = "More than `warm_jobs_max`"),
    )
)]
pub(super) async fn begin(
    State(desk): State<Desk>,
    caller: Caller,
    Query(query): Query<wire::WarmQuery>,
    request: Request,
) -> Result<Json<wire::WarmJob>, Problem> {
    let essence = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_lines = LINES.contains(&essence.as_str());
    if !is_lines {
        negotiate::content(request.headers(), false)?;
        if query.model.is_some() {
            return Err(Problem::invalid(
                "query parameters are for bodies of lines: this one has its fields in the body",
            ));
        }
    }
    let body = body::read(&desk, request).await?;
    let (model, source) = body::work(&desk, body, move |body| {
        if is_lines { Ok((query.model, lines(&body)?)) } else { Ok(body::parse::<wire::Warm>(&body)?.source()?) }
    })
    .await?;
    Ok(Json(desk.warmer.begin(&caller, model.as_deref(), source)?.into()))
}

fn lines(body: &[u8]) -> Result<Source, Error> {
    let lines = body.split(|byte| *byte == b'\n').map(texts);
    Ok(Source::Texts(lines.filter_map(Result::transpose).collect::<Result<_, _>>()?))
}

/// Warm-ups, the newest first.
#[utoipa::path(
    get,
    path = "/v1/embed/warm",
    tag = "embeddings",
    operation_id = "list_warm_jobs",
    responses((status = 200, description = "Those that are remembered", body = wire::WarmJobs))
)]
pub(super) async fn list(State(desk): State<Desk>, _: NoQuery) -> Json<wire::WarmJobs> {
    let jobs = desk.warmer.jobs().list().into_iter().map(wire::WarmJob::from).collect();
    Json(wire::WarmJobs { jobs, next_cursor: None })
}

/// One warm-up and its progress.
#[utoipa::path(
    get,
    path = "/v1/embed/warm/{id}",
    tag = "embeddings",
    operation_id = "get_warm_job",
    params(("id" = String, Path, description = "As it was answered when it began")),
    responses(
        (status = 200, description = "Where it stands", body = wire::WarmJob),
        (status = 404, description = "No such warm-up, or forgotten for newer ones"),
    )
)]
pub(super) async fn get(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<wire::WarmJob>, Problem> {
    Ok(Json(desk.warmer.jobs().find(&id)?.into()))
}
