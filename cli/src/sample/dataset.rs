//! Sample records as a dataset of a running platform.

use reqwest::Method;

use super::{SEED, SampleChunks, SampleFormat};
use crate::client::Client;
use crate::failure::Failure;
use crate::feed;

/// Makes the dataset, unless there is one of that name.
pub(crate) async fn load(client: &Client, name: &str, rows: u64) -> Result<(), Failure> {
    if client.is_there(&["v1", "catalog", "datasets", name]).await? {
        return Ok(());
    }
    let chunks = SampleChunks::new(rows, SEED, SampleFormat::Csv)?;
    let request = client
        .request(Method::POST, &["v1", "ingest", name])
        .query(&[("mode", "create"), ("format", "csv")])
        .body(feed::body(chunks.map(Ok)));
    client.send(request).await.map(drop)
}
