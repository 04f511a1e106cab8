//! The dataset that a first start begins with.

use http::StatusCode;
use reqwest::Method;

use crate::client::Client;
use crate::failure::Failure;
use crate::feed;
use crate::sample::{SEED, SampleChunks, SampleFormat};

const NAME: &str = "workers";

/// Loads `workers`, unless a dataset of that name is there.
pub(super) async fn load(client: &Client, rows: u64) -> Result<(), Failure> {
    match client.send(client.get(&["v1", "catalog", "datasets", NAME])).await {
        Ok(_) => return Ok(()),
        Err(Failure::Answer(answer)) if answer.is(StatusCode::NOT_FOUND) => {}
        Err(failure) => return Err(failure),
    }
    let chunks = SampleChunks::new(rows, SEED, SampleFormat::Csv)?;
    let body = feed::body(chunks.map(Ok));
    let request = client
        .request(Method::POST, &["v1", "ingest", NAME])
        .query(&[("mode", "create"), ("format", "csv")])
        .body(body);
    client.send(request).await.map(drop)
}
