//! That no task holds a worker: what computes or waits is on a pool.

use std::fmt::Write as _;

use crate::compression::zstd;
use crate::platform::{Platform, answer};

fn csv(rows: usize) -> String {
    (0..rows).fold(String::from("id,name,pay\n"), |mut text, row| {
        writeln!(text, "{row},name {row},{}.25", row % 40).unwrap();
        text
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn files_leave_the_worker_free() {
    let platform = Platform::watched().await;
    let rows = csv(500_000);
    platform.ingest("plain", rows.clone()).await.expect(201);
    let packed = zstd(rows.as_bytes()).await;
    let request = platform.post("plain?mode=append").header("content-encoding", "zstd").body(packed);
    answer(request).await.expect(200);
    let lines: String = (0..200_000).map(|row| format!("{{\"id\":{row},\"tags\":[\"a\",\"b\"]}}\n")).collect();
    platform.ingest("lines?format=ndjson", lines).await.expect(201);
    let late = format!("{rows}x,name,1\n");
    platform.ingest("late?types=id:BIGINT", late).await.refused(400, "invalid_argument");
    platform.ingestd.held().assert_short();
}
