//! S3 that honours some conditions and not others, as some that imitate it do.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, IF_NONE_MATCH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Uri};
use kit::testing::TestServer;
use proto::internal::v1::LocateRequest;
use testbed::S3Server;
use url::Url;

use crate::conditions;
use crate::harness::{Backend, Storage};

/// Which request loses its `If-None-Match` on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgets {
    Nothing,
    Put,
    CompleteMultipartUpload,
}

#[derive(Clone)]
struct Proxy {
    to: Url,
    forgets: Forgets,
    http: reqwest::Client,
}

impl Proxy {
    async fn pass(
        State(proxy): State<Proxy>,
        method: Method,
        uri: Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> http::Response<Body> {
        let completes = method == Method::POST && uri.query().is_some_and(|query| query.contains("uploadId="));
        let forgotten = match proxy.forgets {
            Forgets::Nothing => false,
            Forgets::Put => method == Method::PUT,
            Forgets::CompleteMultipartUpload => completes,
        };
        if forgotten {
            headers.remove(IF_NONE_MATCH);
        }
        for own in [HOST, CONTENT_LENGTH, EXPECT] {
            headers.remove(own);
        }
        let url = proxy.to.join(uri.path_and_query().unwrap().as_str()).unwrap();
        let answer = proxy.http.request(method, url).headers(headers).body(body).send().await.unwrap();
        let mut passed = http::Response::builder().status(answer.status());
        *passed.headers_mut().unwrap() = answer.headers().clone();
        passed.headers_mut().unwrap().remove(TRANSFER_ENCODING);
        passed.body(Body::from(answer.bytes().await.unwrap())).unwrap()
    }

    /// In front of the server at `to`, until the value is dropped.
    async fn start(to: Url, forgets: Forgets) -> TestServer {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let router = Router::new().fallback(Proxy::pass).layer(DefaultBodyLimit::disable()).with_state(Proxy {
            to,
            forgets,
            http,
        });
        TestServer::start(|listener, shutdown| async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
            served.await.map_err(kit::server::ServeError::Io)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_count_as_honoured_where_both_kinds_of_writes_keep_them() {
    for (forgets, honoured) in
        [(Forgets::Nothing, true), (Forgets::Put, false), (Forgets::CompleteMultipartUpload, false)]
    {
        let s3 = S3Server::moto().unwrap();
        let proxy = Proxy::start(s3.endpoint().clone(), forgets).await;
        let storage = Storage::start_on(Backend::Moto, Some(s3), |s3| s3.endpoint = Some(proxy.url())).await;
        let located = storage.bucket().locate(LocateRequest::default()).await.unwrap().into_inner();
        assert_eq!(located.conditional_puts, honoured, "{forgets:?}");
        let health = storage.http.get(storage.server.url().join("health").unwrap()).send().await.unwrap();
        let health = crate::harness::json(health).await;
        let status = if honoured { "ok" } else { "degraded" };
        assert_eq!(health["components"]["conditional_puts"]["status"], status, "{forgets:?}");
        // What is forgotten there is looked at here.
        conditions::writes_are_conditional(&storage).await;
        conditions::a_long_object_is_written_conditionally(&storage).await;
    }
}
