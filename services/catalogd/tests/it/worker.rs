//! That no task holds a worker: what computes or waits is on a pool.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use futures::future::join_all;
use kit::testing::TestServer;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::platform::{Catalogd, Platform, until};

const COLUMNS: usize = 1_000;

/// A file whose footer takes a while to read: a row group for each row.
fn wide() -> Vec<u8> {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..40));
    let columns = (0..COLUMNS).map(|at| (format!("column_{at}"), column.clone()));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn footers_and_manifests_leave_the_worker_free() {
    let platform = Platform::start().await;
    platform.upload("wide.parquet", wide()).await;
    let before = platform.catalogd().await;
    let register = |catalogd: &Catalogd, name: String| {
        let (http, url) = (catalogd.http.clone(), catalogd.url("v1/catalog/register"));
        let body = serde_json::json!({ "name": name, "objects": [{ "key": "wide.parquet" }] });
        async move { assert!(http.post(url).json(&body).send().await.unwrap().status().is_success(), "{name}") }
    };
    join_all((0..20).map(|n| register(&before, format!("before_{n}")))).await;
    before.server.stop().await;

    // Loads what is there, then takes more.
    let config = catalogd::Config { storaged_url: platform.storaged.url(), ..catalogd::Config::default() };
    let server = TestServer::watched(|listener, shutdown| catalogd::serve(config, listener, shutdown)).await;
    let catalogd = Catalogd { server, http: platform.http.clone() };
    until("readiness", || async { catalogd.get("health/readiness").await.status().is_success().then_some(()) }).await;
    join_all((0..20).map(|n| register(&catalogd, format!("after_{n}")))).await;
    for _ in 0..3 {
        register(&catalogd, "before_0".to_owned()).await;
    }
    assert_eq!(catalogd.dataset("before_0").await["schema"].as_array().unwrap().len(), COLUMNS);
    let (_, versions) = catalogd.json("v1/catalog/datasets/before_0/versions").await;
    assert_eq!(versions["versions"].as_array().unwrap().len(), 4, "{versions}");
    assert_eq!(catalogd.dataset("before_0?version=1").await["version"], 1);
    assert_eq!(catalogd.delete("v1/catalog/datasets/after_0").await.status(), 204);
    catalogd.server.held().assert_short();
}
