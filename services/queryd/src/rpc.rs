//! gRPC: `lakehouse.v1.Query`.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use futures::stream::{self, StreamExt};
use kit::{Caller, Problem};
use proto::v1::query_server::Query as QueryService;
use proto::v1::{ExecuteRequest, ExecuteResponse};
use tonic::{Request, Response, Status};

use crate::encode::Format;
use crate::error::Error;
use crate::executor::Piece;
use crate::http;
use crate::service::{Query, Service};

/// Serves the RPCs over the same service as REST.
#[derive(Clone)]
pub(crate) struct Rpc(pub(crate) Service);

fn query(request: ExecuteRequest) -> Result<Query, Error> {
    let params = match request.params_json.as_str() {
        "" => serde_json::Value::Null,
        text => serde_json::from_str(text).map_err(|error| Error::Invalid(format!("params_json: {error}")))?,
    };
    Ok(Query {
        sql: request.sql,
        parameters: http::parameters(params)?,
        rows_max: request.max_rows,
        timeout: request.timeout_ms.map(Duration::from_millis),
        format: Format::Arrow,
        explain: None,
    })
}

fn status(error: Error) -> Status {
    Problem::from(error).into()
}

fn message(piece: Piece) -> ExecuteResponse {
    ExecuteResponse { truncated: piece.end.is_some_and(|end| end.truncated), arrow_ipc: piece.bytes }
}

#[tonic::async_trait]
impl QueryService for Rpc {
    type ExecuteStream = Pin<Box<dyn Stream<Item = Result<ExecuteResponse, Status>> + Send>>;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<Self::ExecuteStream>, Status> {
        let caller = Caller::of(&request);
        let query = query(request.into_inner()).map_err(status)?;
        let (first, rest) = self.0.run(query, caller).await.map_err(status)?;
        let rest = stream::unfold(rest, |mut rest| async move {
            let piece = rest.next().await?;
            Some((piece.map(message).map_err(status), rest))
        });
        Ok(Response::new(stream::iter([Ok(message(first))]).chain(rest).boxed()))
    }
}
