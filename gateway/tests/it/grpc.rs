//! Calls over HTTP/2, with their trailers.

use std::pin::Pin;

use axum::Router;
use futures::Stream;
use kit::{Code, Problem};
use proto::v1::query_client::QueryClient;
use proto::v1::query_server::{Query, QueryServer};
use proto::v1::{ExecuteRequest, ExecuteResponse};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::service::{Platform, nobody};

struct Answers;

#[tonic::async_trait]
impl Query for Answers {
    type ExecuteStream = Pin<Box<dyn Stream<Item = Result<ExecuteResponse, Status>> + Send>>;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<Self::ExecuteStream>, Status> {
        let sql = request.into_inner().sql;
        if sql == "refuse" {
            return Err(Problem::new(Code::Conflict, "not now").into());
        }
        let last =
            if sql == "break" { Err(Problem::invalid("at row 3").into()) } else { Ok(ExecuteResponse::default()) };
        let piece = ExecuteResponse { arrow_ipc: sql.into(), truncated: false };
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(piece), last]))))
    }
}

async fn platform() -> Platform {
    Platform::with(|_| {}, Routes::new(QueryServer::new(Answers)).into_axum_router()).await
}

async fn execute(platform: &Platform, sql: &str) -> Result<Vec<ExecuteResponse>, Status> {
    let mut client = QueryClient::new(kit::grpc::channel(&platform.gateway.url()).unwrap());
    let request = ExecuteRequest { sql: sql.to_owned(), ..ExecuteRequest::default() };
    let mut stream = client.execute(request).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

#[tokio::test]
async fn streams_and_statuses_come_through() {
    let platform = platform().await;
    let messages = execute(&platform, "SELECT 1").await.unwrap();
    assert_eq!((messages.len(), &messages[0].arrow_ipc[..]), (2, &b"SELECT 1"[..]));
    let refused = Problem::from_status("queryd", execute(&platform, "refuse").await.unwrap_err());
    assert_eq!((refused.code, refused.detail.as_str()), (Code::Conflict, "not now"));
    let broken = Problem::from_status("queryd", execute(&platform, "break").await.unwrap_err());
    assert_eq!((broken.code, broken.detail.as_str()), (Code::InvalidArgument, "at row 3"));
}

#[tokio::test]
async fn service_that_is_down_is_a_status() {
    let url = nobody().await;
    let platform = Platform::with(|config| config.queryd_url = url, Router::new()).await;
    let status = execute(&platform, "SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(Problem::from_status("gateway", status).code, Code::BadGateway);
}

#[tokio::test]
async fn internal_calls_are_not_forwarded_however_they_are_written() {
    // A service that would answer anything.
    let everything = Router::new().fallback(|| async { "reached" });
    let platform = Platform::with(|_| {}, everything).await;
    let stream = tokio::net::TcpStream::connect(platform.gateway.address()).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    for path in [
        "/lakehouse.internal.v1.ObjectStore/List",
        "//lakehouse.internal.v1.ObjectStore/List",
        "/lakehouse%2einternal.v1.ObjectStore/List",
        "/lakehouse.v1.Query/../lakehouse.internal.v1.ObjectStore/List",
        "/lakehouse.v1.Query/%2e%2e/lakehouse.internal.v1.ObjectStore/List",
        "/lakehouse.v1.Query%2f..%2flakehouse.internal.v1.ObjectStore/List",
        "/lakehouse.v1.Query/x/../../lakehouse.internal.v1.ObjectStore/List",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let uri = format!("http://{}{path}", platform.gateway.address());
        let request = http::Request::post(uri).header("content-type", "application/grpc");
        let answer = sender.send_request(request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let status = answer.headers()["grpc-status"].to_str().unwrap().to_owned();
        // NOT_FOUND: of the gateway, not of a service.
        assert_eq!(
            (status.as_str(), answer.headers()["lakehouse-code"].to_str().unwrap()),
            ("5", "not_found"),
            "{path}"
        );
    }
}
