//! The same over datasets on S3, on a server that is not ours.

use kit::Secret;
use proto::internal::v1::LocateRequest;
use proto::v1::{DeleteRequest, ListRequest};
use serde_json::{Value, json};
use testbed::S3Server;

use crate::hostile::lines;
use crate::platform::{JOBS, Platform, WORKERS};

const BUCKET: &str = "lake";
/// Of the engine: told to nobody.
const CANARIES: [&str; 3] = ["canary-key-id-2f7a", "canary-secret-91cc", "canary-token-e05b"];

/// Beside `hostile.txt`: what only an engine that knows S3 could do.
const STATEMENTS: [&str; 16] = [
    "SELECT * FROM read_parquet('s3://lake/datasets/**')",
    "SELECT * FROM read_parquet(['s3://lake/datasets/a.parquet', 's3://lake/datasets/b.parquet'])",
    "SELECT * FROM parquet_metadata('s3://lake/datasets/a.parquet')",
    "SELECT * FROM read_text('s3://lake/user/in/a.parquet')",
    "SELECT * FROM read_blob('s3://lake/_catalog/manifests/**')",
    "SELECT * FROM glob('s3://lake/**')",
    "SELECT * FROM 's3://lake/datasets/a.parquet'",
    "FROM \"s3://lake/datasets/a.parquet\"",
    "SELECT * FROM 's3://lake/datasets/a.parquet?s3_endpoint=127.0.0.1:1'",
    "SELECT * FROM 's3a://lake/datasets/a.parquet'",
    "SELECT * FROM dataset_at('s3://lake/datasets/a.parquet', 1)",
    "COPY (SELECT 1) TO 's3://lake/datasets/a.parquet' (FORMAT parquet)",
    "ATTACH 's3://lake/datasets/a.duckdb' AS a",
    "SELECT current_setting('s3_secret_access_key')",
    "SELECT * FROM which_secret('s3://lake/datasets/a.parquet', 's3')",
    "SELECT * FROM duckdb_secrets(redact := false)",
];

async fn platform() -> (Platform, S3Server) {
    // Waits for a Python to come up.
    let server = tokio::task::spawn_blocking(S3Server::moto).await.unwrap().unwrap();
    let endpoint = server.endpoint().clone();
    let platform = Platform::start_all(
        |config| {
            config.backend = storaged::Backend::S3;
            config.s3 = storaged::S3Config {
                endpoint: Some(endpoint.clone()),
                bucket: BUCKET.into(),
                access_key_id: server.access_key_id().into(),
                secret_access_key: Secret::new(server.secret_access_key()),
                ..Default::default()
            };
        },
        |_| {},
        |config| {
            let [access_key_id, secret_access_key, session_token] = CANARIES.map(Secret::new);
            config.s3 = queryd::S3Config {
                endpoint: Some(endpoint.clone()),
                access_key_id,
                secret_access_key,
                session_token,
                ..Default::default()
            };
        },
    )
    .await;
    (platform, server)
}

/// Where S3 is: told to nobody either.
fn address(server: &S3Server) -> String {
    server.endpoint().as_str().trim_start_matches("http://").trim_end_matches('/').to_owned()
}

/// What of the engine's surroundings is in a text.
fn leaks(text: &str, address: &str) -> Vec<String> {
    let hidden = CANARIES.into_iter().chain([address]);
    hidden.filter(|hidden| text.contains(hidden)).map(str::to_owned).collect()
}

/// A refusal, whose words tell nothing of the engine's surroundings that the statement did not.
async fn refusal(platform: &Platform, address: &str, sql: &str) -> (u16, Value) {
    let (status, body) = platform.ask(json!({ "sql": sql })).await;
    let text = body.to_string();
    assert!(leaks(&text, address).is_empty(), "{sql}: {text}");
    assert!(sql.contains("s3") || (!text.contains("s3://") && !text.contains(".parquet")), "{sql}: {text}");
    (status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn datasets_on_s3_are_read_where_they_lie() {
    let (platform, server) = platform().await;
    platform.register("workers", WORKERS).await;
    platform.register("jobs", JOBS).await;
    let request = LocateRequest { keys: Vec::new(), prefix: "datasets/".into() };
    let located = platform.objects().locate(request).await.unwrap().into_inner();
    assert_eq!(located.prefix_url, "s3://lake/datasets/");

    let sql = "SELECT state, count(*), max(pay) FROM workers GROUP BY state ORDER BY state";
    assert_eq!(platform.rows(sql).await, json!([["IL", 34, "34.00"], ["OH", 33, "34.00"], ["TX", 33, "34.00"]]));
    let join = "SELECT count(*) FROM workers w JOIN jobs j ON w.state = j.state WHERE w.id < 10";
    assert_eq!(platform.rows(join).await, json!([[35]]));
    platform.register("workers", &WORKERS.replace("range(100)", "range(20)")).await;
    let versions = "SELECT (SELECT count(*) FROM dataset_at('workers', 1)), (SELECT count(*) FROM workers)";
    assert_eq!(platform.rows(versions).await, json!([[100, 120]]));
    assert_eq!(platform.rows("SHOW TABLES").await, json!([["jobs"], ["workers"]]));
    assert_eq!(platform.schema().await, json!([["jobs", 1], ["workers", 2]]));

    let explained = json!({ "sql": "SELECT avg(pay) FROM workers WHERE id > 3", "analyze": true });
    let plan = platform.post("v1/sql/explain", &explained).send().await.unwrap().text().await.unwrap();
    assert!(plan.to_uppercase().contains("READ_PARQUET") && !plan.contains("s3://"), "{plan}");
    for path in ["health", "metrics", "v1/sql/schema", "openapi.json"] {
        let text = platform.get(path).await;
        assert!(leaks(&text, &address(&server)).is_empty(), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_get_nothing_of_s3() {
    let (platform, server) = platform().await;
    let address = address(&server);
    platform.register("workers", WORKERS).await;
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]));
    for sql in STATEMENTS {
        let (status, body) = refusal(&platform, &address, sql).await;
        assert_eq!((status, &body["code"]), (403, &json!("permission_denied")), "{sql}: {body}");
    }
    let mut failures = Vec::new();
    for line in lines(include_str!("hostile.txt")) {
        let (status, sql) = line.split_once(' ').unwrap();
        let sql = sql.replace("{FOLDER}", "s3://lake/datasets/");
        let (got, body) = platform.ask(json!({ "sql": sql })).await;
        let text = body.to_string();
        if got.to_string() != status || !leaks(&text, &address).is_empty() {
            failures.push(format!("{sql}: {got} {text}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_without_where_it_lies() {
    let (platform, server) = platform().await;
    let address = address(&server);
    let registered = platform.register("workers", WORKERS).await;
    platform.register("jobs", JOBS).await;
    platform.register("later", JOBS).await;
    let prefix = format!("datasets/{}/", registered["dataset_id"].as_str().unwrap());
    let request = ListRequest { prefix, ..ListRequest::default() };
    let objects = platform.objects().list(request).await.unwrap().into_inner().objects;
    assert_eq!(objects.len(), 1);
    for object in objects {
        platform.objects().delete(DeleteRequest { key: object.key }).await.unwrap();
    }
    let (status, body) = refusal(&platform, &address, "SELECT count(*) FROM workers").await;
    assert_eq!((status, &body["code"]), (502, &json!("bad_gateway")), "{body}");
    assert_eq!(platform.rows("SELECT count(*) FROM jobs").await, json!([[10]]), "one bad thing stays one");

    drop(server);
    let (status, body) = refusal(&platform, &address, "SELECT count(*) FROM later").await;
    assert_eq!((status, &body["code"]), (502, &json!("bad_gateway")), "{body}");
    assert_eq!(platform.rows("SELECT 1").await, json!([[1]]));
}
