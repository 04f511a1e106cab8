//! gRPC calls that their clients give up: what runs for them ends.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::grpc::PeerChannel;
use proto::v1::query_client::QueryClient;
use proto::v1::query_server::{Query, QueryServer};
use proto::v1::{ExecuteRequest, ExecuteResponse};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use crate::service::{Event, Events, Platform, TellsOfItsEnd};
use crate::wire::PATIENCE;

/// Answers `never`, or without end, or at once.
struct Answers(Events);

type Pieces = Pin<Box<dyn Stream<Item = Result<ExecuteResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Query for Answers {
    type ExecuteStream = Pieces;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<Pieces>, Status> {
        let sql = request.into_inner().sql;
        if sql == "at once" {
            return Ok(Response::new(stream::iter([Ok(ExecuteResponse::default())]).boxed()));
        }
        let tells = TellsOfItsEnd(self.0.clone());
        self.0.send(Event::Started).unwrap();
        if sql == "never" {
            std::future::pending::<()>().await;
        }
        let first = stream::iter([Ok(ExecuteResponse { arrow_ipc: sql.into(), truncated: false })]);
        let rest = stream::once(async move {
            let _tells = tells;
            std::future::pending().await
        });
        Ok(Response::new(first.chain(rest).boxed()))
    }
}

struct Calls {
    platform: Platform,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Calls {
    /// Behind a gateway that lets one request at a time through to a service.
    async fn start() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let service = Routes::new(QueryServer::new(Answers(sender))).into_axum_router();
        let platform = Platform::with(|config| config.upstream_concurrency_max = 1, service).await;
        Calls { platform, events }
    }

    fn client(&self) -> QueryClient<PeerChannel> {
        QueryClient::new(kit::grpc::channel(&self.platform.gateway.url()).unwrap())
    }

    async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").expect("a running service")
    }

    /// The one place is free again, and the connection to the service is as good as before.
    async fn others_are_answered(&self, client: &mut QueryClient<PeerChannel>) {
        let mut answer = client.execute(request("at once")).await.unwrap().into_inner();
        assert!(answer.message().await.unwrap().is_some());
        assert!(answer.message().await.unwrap().is_none());
    }
}

fn request(sql: &str) -> ExecuteRequest {
    ExecuteRequest { sql: sql.to_owned(), ..ExecuteRequest::default() }
}

#[tokio::test]
async fn call_that_is_cancelled_before_its_answer_ends_at_the_service() {
    let mut calls = Calls::start().await;
    let mut client = calls.client();
    let mut cancelled = client.clone();
    let call = tokio::spawn(async move { cancelled.execute(request("never")).await.map(|_| ()) });
    assert_eq!(calls.next().await, Event::Started);
    let crowded = client.execute(request("at once")).await.unwrap_err();
    assert_eq!(crowded.code(), Code::ResourceExhausted, "the call has the one place: {crowded}");
    call.abort();
    assert_eq!(calls.next().await, Event::Dropped);
    calls.others_are_answered(&mut client).await;
}

#[tokio::test]
async fn stream_that_is_dropped_ends_at_the_service() {
    let mut calls = Calls::start().await;
    let mut client = calls.client();
    let mut stream = client.execute(request("a piece")).await.unwrap().into_inner();
    assert_eq!(calls.next().await, Event::Started);
    assert_eq!(&stream.message().await.unwrap().unwrap().arrow_ipc[..], b"a piece");
    drop(stream);
    assert_eq!(calls.next().await, Event::Dropped);
    calls.others_are_answered(&mut client).await;
}

#[tokio::test]
async fn call_whose_time_is_up_ends_at_the_service() {
    let mut calls = Calls::start().await;
    let mut client = calls.client();
    let mut late = Request::new(request("never"));
    late.set_timeout(Duration::from_millis(300));
    let status = client.execute(late).await.unwrap_err();
    assert!(matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded), "{status}");
    assert_eq!(calls.next().await, Event::Started);
    assert_eq!(calls.next().await, Event::Dropped);
    calls.others_are_answered(&mut client).await;
}

#[tokio::test]
async fn client_that_is_gone_takes_its_stream_with_it() {
    let mut calls = Calls::start().await;
    let stream = std::net::TcpStream::connect(calls.platform.gateway.address()).unwrap();
    let socket = stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    let (executor, io) = (TokioExecutor::new(), TokioIo::new(tokio::net::TcpStream::from_std(stream).unwrap()));
    let (mut sender, driver) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(driver);
    let uri = format!("http://{}/lakehouse.v1.Query/Execute", calls.platform.gateway.address());
    // Not compressed, 7 bytes: field 1, 5 bytes long.
    let message = bytes::Bytes::from_static(b"\0\0\0\0\x07\x0a\x05piece");
    let request = http::Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
    let request = request.body(http_body_util::Full::new(message)).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), calls.next().await), (200, Event::Started));
    // No stream is reset, nobody says goodbye.
    socket.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(calls.next().await, Event::Dropped);
    drop(answer);
    calls.others_are_answered(&mut calls.client()).await;
}
