//! A started storaged, and how the checks talk to it.

use std::time::Duration;

use kit::grpc::PeerChannel;
use kit::testing::TestServer;
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::v1::storage_client::StorageClient;
use proto::v1::{self, Condition, PutRequest, PutStart, put_request::Part};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use storaged::{Config, S3Config};
use tempfile::TempDir;
use testbed::S3Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The limit that the checks run into.
pub(crate) const OBJECT_BYTES_MAX: u64 = 24 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Local,
    /// Keeps conditions.
    Moto,
    /// Ignores conditions, and keeps objects in folders of its own.
    Rclone,
}

pub(crate) struct Storage {
    pub(crate) backend: Backend,
    pub(crate) server: TestServer,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: TempDir,
    pub(crate) s3: Option<S3Server>,
}

impl Storage {
    pub(crate) async fn start(backend: Backend) -> Self {
        let s3 = match backend {
            Backend::Local => None,
            Backend::Moto => Some(S3Server::moto().unwrap()),
            Backend::Rclone => Some(S3Server::rclone().unwrap()),
        };
        Self::start_on(backend, s3, |_| {}).await
    }

    /// With the configuration of S3 changed.
    pub(crate) async fn start_on(backend: Backend, s3: Option<S3Server>, change: impl FnOnce(&mut S3Config)) -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: folder.path().join("data"),
            max_object_bytes: OBJECT_BYTES_MAX,
            max_list_entries: 100,
            ..Config::default()
        };
        if let Some(s3) = &s3 {
            config.backend = storaged::Backend::S3;
            config.s3 = S3Config {
                endpoint: Some(s3.endpoint().clone()),
                access_key_id: s3.access_key_id().to_owned(),
                secret_access_key: kit::Secret::new(s3.secret_access_key()),
                part_bytes: 5 << 20,
                ..S3Config::default()
            };
            change(&mut config.s3);
        }
        let server = TestServer::start(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build().unwrap();
        Storage { backend, server, http, folder, s3 }
    }

    /// A request about the key as it stands in the path.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}v1/storage/{path}", self.server.url()))
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::PUT, path).body(body).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn get_with(&self, path: &str, header: &str, value: &str) -> Response {
        self.request(Method::GET, path).header(header, value).send().await.unwrap()
    }

    pub(crate) async fn list(&self, query: &str) -> Value {
        let url = format!("{}v1/storage?{query}", self.server.url());
        let response = self.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        json(response).await
    }

    pub(crate) fn channel(&self) -> PeerChannel {
        kit::grpc::channel(&self.server.url()).unwrap()
    }

    pub(crate) fn storage(&self) -> StorageClient<PeerChannel> {
        StorageClient::new(self.channel())
    }

    pub(crate) fn bucket(&self) -> ObjectStoreClient<PeerChannel> {
        ObjectStoreClient::new(self.channel())
    }

    /// A connection of its own, with `head` sent.
    pub(crate) async fn raw(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Asks again until `holds`, for what happens behind a connection that is gone.
    pub(crate) async fn eventually<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let all = async {
            while !holds().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("{what}"));
    }
}

/// What `stream` answers up to the end of the headers.
pub(crate) async fn answer_head(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// The status and the stable code of a refusal.
pub(crate) async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = json(response).await;
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_owned())
}

pub(crate) fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
}

/// Not compressible, not periodic: any piece in a wrong place shows.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| next()).collect()
}

/// A body of unknown length.
pub(crate) fn chunked(bytes: &[u8]) -> reqwest::Body {
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> = bytes.chunks(100_000).map(|chunk| Ok(chunk.to_vec())).collect();
    reqwest::Body::wrap_stream(futures::stream::iter(chunks))
}

/// The messages of a Put.
pub(crate) fn put_messages(key: &str, body: &[u8], condition: Option<Condition>) -> Vec<PutRequest> {
    let start = PutStart { key: key.to_owned(), condition, ..PutStart::default() };
    let chunks = body.chunks(1 << 20).map(|chunk| Part::Chunk(bytes::Bytes::copy_from_slice(chunk)));
    [Part::Start(start)].into_iter().chain(chunks).map(|part| PutRequest { part: Some(part) }).collect()
}

/// What a Get streams: the object's info and its bytes.
pub(crate) async fn collect(mut stream: tonic::Streaming<v1::GetResponse>) -> (v1::ObjectInfo, Vec<u8>) {
    let (mut info, mut bytes) = (None, Vec::new());
    while let Some(message) = stream.message().await.unwrap() {
        match message.part.unwrap() {
            v1::get_response::Part::Info(first) => info = Some(first),
            v1::get_response::Part::Chunk(chunk) => bytes.extend_from_slice(&chunk),
        }
    }
    (info.unwrap(), bytes)
}
