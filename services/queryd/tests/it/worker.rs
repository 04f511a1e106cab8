//! That no task holds a worker: what computes or waits is on a pool.

use kit::testing::TestServer;
use serde_json::json;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn statements_leave_the_worker_free() {
    let mut platform = Platform::with_data().await;
    let config = queryd::Config {
        storaged_url: platform.storaged.url(),
        catalogd_url: platform.catalogd.url(),
        temp_dir: platform.folder.path().join("watched"),
        ..queryd::Config::default()
    };
    platform.queryd = TestServer::watched(|listener, shutdown| queryd::serve(config, listener, shutdown)).await;
    platform.until_ready().await;
    // Long to parse and to check, to run, and to write down.
    let terms = (0..2_000).map(|n| format!("id + {n}")).collect::<Vec<_>>().join(", ");
    platform.rows(&format!("SELECT {terms} FROM workers LIMIT 1")).await;
    platform.rows("SELECT sum(hash(range)) FROM range(50000000)").await;
    let wide = "SELECT range AS n, 'value ' || range AS text, [range] AS list FROM range(1000000)";
    for accept in
        ["application/json", "text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"]
    {
        let answer = platform.post("v1/sql", &json!({ "sql": wide })).header("accept", accept).send().await.unwrap();
        assert!(answer.status().is_success() && answer.bytes().await.unwrap().len() > 1_000_000, "{accept}");
    }
    for sql in ["SHOW TABLES", "SUMMARIZE workers", "EXPLAIN ANALYZE SELECT count(*) FROM workers, jobs"] {
        platform.rows(sql).await;
    }
    assert_eq!(platform.ask(json!({ "sql": "FROM read_csv('/etc/passwd')" })).await.0, 403);
    let slow = json!({ "sql": "SELECT sum(hash(range)) FROM range(100000000000)", "timeout_ms": 300 });
    assert_eq!(platform.ask(slow).await.0, 504);
    platform.schema().await;
    platform.queryd.held().assert_short();
}
