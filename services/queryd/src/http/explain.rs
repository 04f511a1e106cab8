//! `POST /v1/sql/explain`

use axum::extract::State;
use kit::extract::{Json, NoQuery};
use kit::{Caller, Problem};
use serde::Deserialize;

use super::wire::{ExplainAnswer, ExplainRequest};
use crate::error::Error;
use crate::executor::{Answer, Piece};
use crate::service::Service;

/// A plan longer than this is cut off with an error.
const PLAN_BYTES_MAX: usize = 16 << 20;

/// How a statement would be run; with `analyze` it is, and each step tells what it took.
#[utoipa::path(post, path = "/v1/sql/explain", request_body = ExplainRequest, responses(
    (status = 200, body = ExplainAnswer),
    (status = 400, description = "invalid_argument"),
    (status = 403, description = "permission_denied"),
))]
pub(super) async fn explain(
    State(service): State<Service>,
    caller: Caller,
    _: NoQuery,
    Json(request): Json<ExplainRequest>,
) -> Result<axum::Json<ExplainAnswer>, Problem> {
    let (first, rest) = service.run(request.query()?, caller).await?;
    let plan = gather(first, rest).await?;
    Ok(axum::Json(ExplainAnswer { plan }))
}

/// The plans of all rows (there is one), from the lines that carry them.
async fn gather(first: Piece, mut rest: Answer) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Line {
        explain_value: String,
    }
    let mut text = first.bytes.to_vec();
    let mut ended = first.end.is_some();
    while !ended && text.len() <= PLAN_BYTES_MAX {
        let Some(piece) = rest.next().await.transpose()? else { break };
        text.extend_from_slice(&piece.bytes);
        ended = piece.end.is_some();
    }
    let lines = serde_json::Deserializer::from_slice(&text).into_iter::<Line>();
    let plans: Result<Vec<_>, _> = lines.map(|line| line.map(|line| line.explain_value)).collect();
    plans.map(|plans| plans.join("\n")).map_err(|_| Error::Internal("the plan cannot be read"))
}
