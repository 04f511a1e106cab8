//! What there is to see, now and later.

use std::time::Duration;

use kit::testing::TestServer;
use serde_json::{Value, json};

use crate::platform::{JOBS, Platform, WORKERS};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_its_own_writes() {
    let platform = Platform::start().await;
    for n in 1..=5 {
        let registered = platform.register("workers", &WORKERS.replace("range(100)", "range(10)")).await;
        assert_eq!(registered["version"], n);
        assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[10 * n]]));
    }
    assert_eq!(platform.rows("SELECT count(*) FROM dataset_at('workers', 2)").await, json!([[20]]));
    platform.register_as("workers", WORKERS, "replace").await;
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]));
    let both = "SELECT (SELECT count(*) FROM dataset_at('workers', 5)), (SELECT count(*) FROM workers)";
    assert_eq!(platform.rows(both).await, json!([[50, 100]]));
    platform.delete("workers").await;
    assert_eq!(platform.ask(json!({ "sql": "SELECT count(*) FROM workers" })).await.0, 400);
    platform.register("workers", WORKERS).await;
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_shows_exactly_what_there_is() {
    let platform = Platform::with_data().await;
    // Leaves views of an older version on its connection, which nobody must see.
    platform.rows("SELECT count(*) FROM dataset_at('workers', 1)").await;
    let names = json!([["jobs"], ["workers"]]);
    for sql in [
        "SHOW TABLES",
        "SELECT table_name FROM information_schema.tables ORDER BY 1",
        "SELECT DISTINCT table_name FROM duckdb_columns() WHERE NOT internal ORDER BY 1",
    ] {
        assert_eq!(platform.rows(sql).await, names, "{sql}");
    }
    let described = platform.rows("SELECT column_name, column_type FROM (DESCRIBE jobs)").await;
    assert_eq!(
        described,
        json!([["id", "BIGINT"], ["title", "VARCHAR"], ["state", "VARCHAR"], ["pay", "DECIMAL(10,2)"]])
    );
    platform.register("another", JOBS).await;
    assert_eq!(platform.rows("SHOW TABLES").await, json!([["another"], ["jobs"], ["workers"]]));
    platform.delete("jobs").await;
    assert_eq!(platform.rows("SHOW TABLES").await, json!([["another"], ["workers"]]));
    // What was only listed can be read, and what was read can be listed.
    assert_eq!(platform.rows("SELECT count(*) FROM another").await, json!([[10]]));
    let both = "SELECT (SELECT count(*) FROM workers), (SELECT count(*) FROM information_schema.tables)";
    assert_eq!(platform.rows(both).await, json!([[100, 2]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_there_for_tools() {
    let platform = Platform::with_data().await;
    let schema: Value = serde_json::from_str(&platform.get("v1/sql/schema").await).unwrap();
    let datasets = schema["datasets"].as_array().unwrap();
    assert_eq!(datasets.len(), 2);
    assert_eq!(
        (&datasets[1]["name"], &datasets[1]["rows"], &datasets[1]["version"]),
        (&json!("workers"), &json!(100), &json!(1))
    );
    assert_eq!(datasets[0]["columns"][3], json!({ "name": "pay", "type": "DECIMAL(10,2)", "nullable": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_comes_in_pages() {
    let platform = Platform::start_with(|config| config.list_limit_max = 3).await;
    for name in ["d", "b", "a", "c"] {
        platform.register(name, JOBS).await;
    }
    let page = |query: &str| {
        let path = format!("v1/sql/schema?{query}");
        let platform = &platform;
        async move {
            let page = platform.json(&path).await;
            let datasets = page["datasets"].as_array().unwrap_or_else(|| panic!("{page}"));
            let names: Vec<_> = datasets.iter().map(|dataset| dataset["name"].as_str().unwrap().to_owned()).collect();
            (names.concat(), page["next_cursor"].clone())
        }
    };
    assert_eq!(page("").await, ("abc".into(), json!("c")));
    assert_eq!(page("cursor=c").await, ("d".into(), json!(null)));
    assert_eq!(page("limit=2").await, ("ab".into(), json!("b")));
    assert_eq!(page("limit=2&cursor=b").await, ("cd".into(), json!(null)), "an end that fills its page");
    // The cursor is a place, not a dataset that has to stand.
    platform.delete("b").await;
    assert_eq!(page("limit=1&cursor=b").await, ("c".into(), json!("c")));
    assert_eq!(page("cursor=d").await, (String::new(), json!(null)));
    for invalid in ["limit=4", "limit=-1", "limit=x", "cursor=Not%20Ours", "page=2"] {
        let url = platform.queryd.url().join(&format!("v1/sql/schema?{invalid}")).unwrap();
        assert_eq!(platform.http.get(url).send().await.unwrap().status(), 400, "{invalid}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_without_rows_has_its_columns() {
    let platform = Platform::start().await;
    platform.register("nobody", &format!("{WORKERS} WHERE false")).await;
    assert_eq!(platform.rows("SELECT count(*), max(pay) FROM nobody").await, json!([[0, null]]));
    assert_eq!(platform.rows("SELECT skills FROM nobody").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_followed_in_the_background() {
    let platform = Platform::start_with(|config| config.refresh_every = Duration::from_secs(3_600)).await;
    platform.register("workers", WORKERS).await;
    while !platform.get("metrics").await.contains("queryd_datasets 1") {
        tokio::task::yield_now().await;
    }
    platform.delete("workers").await;
    while !platform.get("metrics").await.contains("queryd_datasets 0") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_catalogd_statements_fail_with_a_reason_and_nothing_else_does() {
    let mut platform = Platform::with_data().await;
    // Another in its place, so that the first can be stopped.
    let replaced = TestServer::start(|_, _| async { Ok(()) }).await;
    std::mem::replace(&mut platform.catalogd, replaced).stop().await;
    let (status, body) = platform.ask(json!({ "sql": "SELECT count(*) FROM workers" })).await;
    assert!(status == 503 && body["detail"].to_string().contains("catalogd"), "{status} {body}");
    assert_eq!(platform.rows("SELECT 1").await, json!([[1]]));
}
