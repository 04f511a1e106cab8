//! The whole platform as users start it: `lakehouse up`, one process, on free ports.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::StreamExt;
use http::Method;
use http_body_util::{BodyExt, StreamBody};
use proto::internal::v1::LocateRequest;
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::v1::GetDatasetRequest;
use proto::v1::catalog_client::CatalogClient;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tonic::transport::{Channel, Endpoint};

use crate::env::Env;
use crate::http::{Body, Connection, fetch, full, request};
use crate::server::{Server, free_address};

const READ_BYTES: usize = 256 << 10;
const POLL_EVERY: Duration = Duration::from_millis(2);

/// A running platform.
pub(crate) struct Platform {
    pub(crate) server: Server,
    pub(crate) gateway: SocketAddr,
    pub(crate) queryd: SocketAddr,
    pub(crate) storaged: SocketAddr,
    catalogd: SocketAddr,
    services: [SocketAddr; 7],
}

/// What ingest answers, so far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Ingested {
    pub(crate) rows: u64,
}

/// An answer to SQL in the platform's JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Platform {
    /// Starts it over `data` and waits until all its services are ready and SQL is answered.
    pub(crate) async fn start(env: &Env, data: &Path) -> Result<Self> {
        Self::start_with(env, data, &[]).await
    }

    /// The same, with `settings` as `--set` takes them.
    pub(crate) async fn start_with(env: &Env, data: &Path, settings: &[String]) -> Result<Self> {
        let mut platform = Self::launch_with(env, data, settings).await?;
        for address in platform.services {
            platform.server.ready(address, "/health/readiness", POLL_EVERY).await?;
        }
        let select = || sql_request("SELECT 1", "application/json");
        platform.server.answers(platform.gateway, &select, POLL_EVERY).await?;
        Ok(platform)
    }

    /// Starts it over `data` and waits for nothing.
    pub(crate) async fn launch(env: &Env, data: &Path) -> Result<Self> {
        Self::launch_with(env, data, &[]).await
    }

    async fn launch_with(env: &Env, data: &Path, settings: &[String]) -> Result<Self> {
        let mut command = Command::new(env.binary("lakehouse")?);
        command.arg("up").arg("--data").arg(data).current_dir(env.work());
        let services @ [gateway, queryd, storaged, catalogd, ..] = [
            listen(&mut command, "gateway").await?,
            listen(&mut command, "queryd").await?,
            listen(&mut command, "storaged").await?,
            listen(&mut command, "catalogd").await?,
            listen(&mut command, "ingestd").await?,
            listen(&mut command, "vectord").await?,
            listen(&mut command, "embedd").await?,
        ];
        command.arg("--set").arg(format!("queryd.threads={}", env.threads));
        settings.iter().for_each(|setting| _ = command.arg("--set").arg(setting));
        let server = Server::start("lakehouse", &mut command, env.work())?;
        Ok(Platform { server, gateway, queryd, storaged, catalogd, services })
    }

    /// Sends a file through the gateway, in pieces.
    pub(crate) async fn ingest(&self, name: &str, format: &str, file: &Path) -> Result<Ingested> {
        let path = format!("/v1/ingest/{name}?format={format}&mode=replace");
        let bytes = std::fs::metadata(file)?.len().to_string();
        let headers = [("content-type", "application/octet-stream"), ("content-length", bytes.as_str())];
        let body = file_body(File::open(file).await?);
        let answer = fetch(self.gateway, request(Method::POST, &path, &headers, body)?).await;
        let answer = answer.with_context(|| format!("ingest of {name}"))?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Where the objects of a dataset lie on this disk.
    pub(crate) async fn files(&self, name: &str) -> Result<Vec<String>> {
        let mut catalog = CatalogClient::new(channel(self.catalogd).await?);
        let wanted = GetDatasetRequest { name: name.to_owned(), version: 0 };
        let manifest = catalog.get(wanted).await?.into_inner();
        let keys: Vec<String> = manifest.objects.into_iter().map(|object| object.key).collect();
        ensure!(!keys.is_empty(), "{name} has no objects");
        let mut store = ObjectStoreClient::new(channel(self.storaged).await?);
        let located = store.locate(LocateRequest { keys, prefix: String::new() }).await?.into_inner();
        located
            .urls
            .iter()
            .map(|url| {
                let path = url::Url::parse(url)?.to_file_path();
                let path = path.ok().with_context(|| format!("{url} is not on this disk"))?;
                Ok(path.to_string_lossy().into_owned())
            })
            .collect()
    }

    /// Asks on a connection of its own.
    pub(crate) async fn query(&self, sql: &str) -> Result<Answer> {
        Ok(serde_json::from_slice(&fetch(self.gateway, sql_request(sql, "application/json")?).await?)?)
    }

    /// A connection to the gateway.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.gateway).await
    }
}

pub(crate) async fn channel(address: SocketAddr) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
}

async fn listen(command: &mut Command, service: &str) -> Result<SocketAddr> {
    let address = free_address().await?;
    command.arg("--set").arg(format!("{service}.listen=\"{address}\""));
    Ok(address)
}

/// `POST /v1/sql`, for the gateway or for queryd itself.
pub(crate) fn sql_request(sql: &str, accept: &str) -> Result<http::Request<Body>> {
    let headers = [("content-type", "application/json"), ("accept", accept)];
    // Longer than any row takes, so that a slow answer shows as a figure.
    let body = json!({"sql": sql, "timeout_ms": 600_000});
    request(Method::POST, "/v1/sql", &headers, full(body.to_string()))
}

fn file_body(file: File) -> Body {
    let pieces = futures::stream::try_unfold(file, |mut file| async move {
        let mut piece = Vec::with_capacity(READ_BYTES);
        let read = (&mut file).take(READ_BYTES as u64).read_to_end(&mut piece).await?;
        Ok((read > 0).then(|| (Bytes::from(piece), file)))
    });
    StreamBody::new(pieces.map(|piece| piece.map(hyper::body::Frame::data))).boxed_unsync()
}
