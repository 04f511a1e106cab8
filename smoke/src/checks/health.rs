//! Every service is well, and says so in the same ways.

use anyhow::{Result, ensure};

use crate::context::Context;

const PATHS: [&str; 5] =
    ["/v1/storage/{key}", "/v1/catalog/datasets", "/v1/ingest/{name}", "/v1/sql", "/v1/vectors/index/{name}/search"];

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let http = &context.http;
    let health = http.get("/health").await?.is(200)?;
    for service in ["storaged", "catalogd", "ingestd", "queryd", "vectord", "embedd"] {
        ensure!(health.text().contains(service), "/health does not know {service}: {}", health.text());
    }
    http.get("/health/liveness").await?.is(200)?;
    http.get("/health/readiness").await?.is(200)?;
    let metrics = http.get("/metrics").await?.is(200)?.text();
    ensure!(metrics.contains("# TYPE") && metrics.contains("# EOF"), "not an exposition: {metrics}");

    let openapi = http.get("/openapi.json").await?.is(200)?.json()?;
    for path in PATHS {
        ensure!(openapi["paths"][path].is_object(), "/openapi.json lacks {path}");
    }
    let request = http.request(reqwest::Method::GET, "/v1/catalog/datasets").header("x-request-id", "smoke-1");
    let answer = http.send(request).await?.is(200)?;
    ensure!(answer.header("x-request-id") == "smoke-1", "the request id was not returned");
    http.get("/v1/nothing").await?.problem(404, "not_found").map(drop)
}
