//! A service that panics over a request: that request fails, and says so.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing;
use futures::{StreamExt, stream};
use kit::Code;
use proto::v1::ExecuteRequest;
use proto::v1::query_client::QueryClient;

use crate::service::Platform;
use crate::wire::{get, raw};

async fn platform() -> Platform {
    let routes = Router::new()
        .route("/v1/storage/panics", routing::get(panics))
        .route("/v1/storage/later", routing::get(panics_later));
    let routes = routes.route("/lakehouse.v1.Query/Execute", routing::post(panics));
    Platform::with(|_| {}, routes).await
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn panics_later() -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"the first piece"))]);
    // Not at once, so that the first piece has left by then.
    let last = stream::once(async {
        tokio::task::yield_now().await;
        panic!("on purpose")
    });
    Body::from_stream(first.chain(last))
}

#[tokio::test]
async fn panic_before_the_answer_is_a_problem() {
    let platform = platform().await;
    let address = platform.gateway.address();
    let request = format!(
        "GET /v1/storage/panics HTTP/1.1\r\nhost: {address}\r\nx-request-id: mine\r\nconnection: close\r\n\r\n"
    );
    let answer = raw(address, &request).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"), "{answer:?}");
    assert_eq!(answer.json()["request_id"], "mine");
    assert!(!answer.body.contains("on purpose"), "{answer:?}");
    assert_eq!(get(address, "/v1/storage/echo/x").await.status, 200);
}

#[tokio::test]
async fn panic_in_the_middle_of_an_answer_breaks_it_off() {
    let platform = platform().await;
    let address = platform.gateway.address();
    let answer = get(address, "/v1/storage/later").await;
    assert!(answer.status == 200 && answer.body.contains("the first piece"), "{answer:?}");
    assert!(!answer.body.ends_with("0\r\n\r\n"), "the last chunk would say that all is there: {answer:?}");
    assert_eq!(get(address, "/v1/storage/echo/x").await.status, 200);
}

#[tokio::test]
async fn panic_in_a_call_is_a_status() {
    let platform = platform().await;
    let mut client = QueryClient::new(kit::grpc::channel(&platform.gateway.url()).unwrap());
    let answered = async { client.execute(ExecuteRequest::default()).await?.into_inner().message().await };
    let status = answered.await.unwrap_err();
    assert_eq!(status.metadata().get("lakehouse-code").unwrap(), "internal", "{status}");
    assert_eq!((status.code(), status.message()), (tonic::Code::Internal, Code::Internal.title()));
}
