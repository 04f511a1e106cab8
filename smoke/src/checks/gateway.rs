//! The one public address lets through what is public, as it was sent.

use anyhow::{Context as _, Result, bail, ensure};
use proto::internal::v1::LocateRequest;
use proto::internal::v1::catalog_internal_client::CatalogInternalClient;
use proto::internal::v1::object_store_client::ObjectStoreClient;
use proto::internal::v1::{ResolveRequest, Wanted};
use proto::v1::query_client::QueryClient;
use proto::v1::storage_client::StorageClient;
use proto::v1::{ExecuteRequest, ListRequest};
use reqwest::Method;
use serde_json::json;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::context::Context;
use crate::raw::Connection;

/// Where services tell each other for whom they call.
const CALLER: &str = "x-lakehouse-caller";
/// `{"tenant":"t","role":"reader","grants":[]}` in base64.
const READER_OF_NOTHING: &str = "eyJ0ZW5hbnQiOiJ0Iiwicm9sZSI6InJlYWRlciIsImdyYW50cyI6W119";

/// Paths that two readers might understand differently.
const CROOKED: [&str; 9] = [
    "/v1/storage/../catalog/datasets",
    "/v1/storage/a/../b",
    "/v1/storage/./a",
    "/v1/storage/%2e%2e/catalog/datasets",
    "/v1/storage/%2E%2e%2fcatalog",
    "/v1/storage/a/..",
    "/v1/storage/..%5ca",
    "/v1/sql/../storage/a",
    "/v1/storage/%zz",
];

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let base = context.http.base().clone();
    let mut connection = Connection::open(&base).await?;
    for path in CROOKED {
        let answer = connection.send(&format!("GET {path}"), &[], b"").await.context(path)?;
        ensure!(answer.status == 400, "{path}: {}", answer.status);
    }
    // What only looks like it is somebody's key.
    let key = format!("/v1/storage/{}/a..b/...", context.name("gateway"));
    let put = connection.send(&format!("PUT {key}"), &[], b"dots").await?;
    ensure!(matches!(put.status, 200 | 201), "PUT {key}: {}", put.status);
    let get = connection.send(&format!("GET {key}"), &[], b"").await?;
    ensure!(get.body == b"dots", "GET {key}: {}", get.status);

    for (name, header) in [("Host", "host: evil.example"), ("Origin", "origin: https://evil.example")] {
        let answer = connection.send("GET /v1/catalog/datasets", &[header], b"").await?;
        ensure!(answer.status == 403, "a foreign {name}: {}", answer.status);
    }
    let own = connection.send("GET /v1/catalog/datasets", &["origin: http://localhost:8080"], b"").await?;
    ensure!(own.status == 200, "a page of this machine: {}", own.status);

    nobody_says_for_whom(context).await.context("x-lakehouse-caller")?;
    let channel = Endpoint::from_shared(base.to_string())?.connect().await.context("gRPC")?;
    internal_is_out_of_reach(channel.clone()).await?;
    public_is_within_reach(channel).await
}

/// Only a service may: the gateway's clients are who they are, whatever they state.
async fn nobody_says_for_whom(context: &Context) -> Result<()> {
    let http = &context.http;
    let name = context.name("stated");
    http.ingest(&name, "format=csv", "a\n1\n").await?.is(201)?;
    let schema = || http.request(Method::GET, "/v1/sql/schema");
    let sql = || http.request(Method::POST, "/v1/sql").json(&json!({ "sql": format!("SELECT a FROM {name}") }));
    for stated in [READER_OF_NOTHING, "nobody"] {
        for request in [schema(), sql(), http.request(Method::GET, "/health")] {
            http.send(request.header(CALLER, stated)).await?.is(200)?;
        }
        let listed = http.send(schema().header(CALLER, stated)).await?.text();
        ensure!(listed.contains(&name), "{stated} hides {name}");
        let mut call = tonic::Request::new(ExecuteRequest { sql: format!("FROM {name}"), ..ExecuteRequest::default() });
        call.metadata_mut().insert(CALLER, stated.parse()?);
        let channel = Endpoint::from_shared(http.base().to_string())?.connect().await.context("gRPC")?;
        QueryClient::new(channel).execute(call).await.with_context(|| format!("gRPC with {stated}"))?;
    }
    Ok(())
}

async fn internal_is_out_of_reach(channel: Channel) -> Result<()> {
    let everything = ListRequest::default();
    let outcomes = [
        ("List", ObjectStoreClient::new(channel.clone()).list(everything).await.map(drop)),
        ("Locate", ObjectStoreClient::new(channel.clone()).locate(LocateRequest::default()).await.map(drop)),
        (
            "Resolve",
            CatalogInternalClient::new(channel)
                .resolve(ResolveRequest { wanted: vec![Wanted::default()], ..ResolveRequest::default() })
                .await
                .map(drop),
        ),
    ];
    for (method, outcome) in outcomes {
        match outcome {
            Ok(()) => bail!("the internal {method} is forwarded"),
            Err(status) => ensure!(
                matches!(status.code(), Code::Unimplemented | Code::NotFound | Code::PermissionDenied),
                "the internal {method} failed for another reason: {status}"
            ),
        }
    }
    Ok(())
}

async fn public_is_within_reach(channel: Channel) -> Result<()> {
    let page = StorageClient::new(channel.clone()).list(ListRequest { limit: 1, ..ListRequest::default() }).await?;
    ensure!(page.into_inner().objects.len() <= 1, "a page of one");
    let request = ExecuteRequest { sql: "SELECT * FROM range(100000)".into(), ..ExecuteRequest::default() };
    let mut answer = QueryClient::new(channel).execute(request).await?.into_inner();
    let mut arrow = Vec::new();
    while let Some(piece) = answer.message().await? {
        arrow.extend(piece.arrow_ipc);
    }
    let batches = arrow_ipc::reader::StreamReader::try_new(std::io::Cursor::new(arrow), None)?;
    let rows = batches.map(|batch| Ok(batch?.num_rows())).sum::<Result<usize>>()?;
    ensure!(rows == 100_000, "{rows} rows over gRPC");
    Ok(())
}
