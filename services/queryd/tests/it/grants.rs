//! What callers get over the wire of what there is, by the grants that a service states for them.

use kit::{CALLER, Caller, Role};
use proto::v1::ExecuteRequest;
use proto::v1::query_client::QueryClient;
use serde_json::{Value, json};

use crate::platform::{JOBS, Platform, WORKERS};

const WAGES: &str = "SELECT range AS id, 'secret ' || range AS wage FROM range(7)";
/// Every way to list what there is: names in the first column.
const LISTS: [&str; 4] = [
    "SHOW TABLES",
    "SELECT name FROM (SHOW ALL TABLES) ORDER BY 1",
    "SELECT table_name FROM information_schema.tables ORDER BY 1",
    "SELECT DISTINCT table_name FROM information_schema.columns ORDER BY 1",
];
/// Every way to read what is not granted.
const READS: [&str; 5] = [
    "SELECT * FROM wages",
    "SELECT wage FROM dataset_at('wages', 1)",
    "DESCRIBE wages",
    "EXPLAIN SELECT * FROM wages",
    "SELECT (SELECT count(*) FROM wages) FROM workers",
];

fn reader(grants: &[&str]) -> Caller {
    let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
    Caller { tenant: "tenant".into(), role: Role::Reader, grants }
}

async fn platform() -> Platform {
    let platform = Platform::start().await;
    for (name, sql) in [("jobs", JOBS), ("wages", WAGES), ("workers", WORKERS)] {
        platform.register(name, sql).await;
    }
    platform
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

impl Platform {
    async fn ask_as(&self, caller: &Caller, sql: &str) -> (u16, Value) {
        answer(self.post("v1/sql", &json!({ "sql": sql })).header(CALLER, caller.to_header())).await
    }

    async fn schema_as(&self, caller: &Caller) -> Value {
        let url = self.queryd.url().join("v1/sql/schema").unwrap();
        let (status, schema) = answer(self.http.get(url).header(CALLER, caller.to_header())).await;
        assert_eq!(status, 200, "{schema}");
        schema["datasets"].as_array().unwrap().iter().map(|dataset| dataset["name"].clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_the_schema_show_what_is_granted() {
    let platform = platform().await;
    let all = json!(["jobs", "wages", "workers"]);
    let callers = [
        (Caller::local(), all.clone()),
        (reader(&["workers", "jobs", "nothing"]), json!(["jobs", "workers"])),
        (reader(&["wages"]), json!(["wages"])),
        (reader(&["wage", "w*"]), json!([])),
        (reader(&[]), json!([])),
        (reader(&["*"]), all),
    ];
    // Twice: the second time on connections that others have left something on.
    for _ in 0..2 {
        for (caller, granted) in &callers {
            for sql in LISTS {
                let (status, listed) = platform.ask_as(caller, sql).await;
                assert_eq!(status, 200, "{sql} by {caller:?}: {listed}");
                let names: Value = listed["rows"].as_array().unwrap().iter().map(|row| row[0].clone()).collect();
                assert_eq!(names, *granted, "{sql} by {caller:?}");
            }
            assert_eq!(platform.schema_as(caller).await, *granted, "{caller:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_as_if_it_were_not_there() {
    let platform = platform().await;
    let granted = reader(&["workers"]);
    for sql in READS {
        assert_eq!(platform.ask_as(&Caller::local(), sql).await.0, 200, "{sql}");
        let (status, refused) = platform.ask_as(&granted, sql).await;
        assert_eq!((status, &refused["code"]), (400, &json!("invalid_argument")), "{sql}: {refused}");
        assert_eq!(refused["detail"], "there is no dataset \"wages\"", "{sql}");
        // Nor does the refusal of another name lead there.
        let (_, missing) = platform.ask_as(&granted, &sql.replace("wages", "wagez")).await;
        assert_eq!(missing["detail"], "there is no dataset \"wagez\"", "{sql}");
    }
    let (status, counted) = platform.ask_as(&granted, "SELECT count(*) FROM workers").await;
    assert_eq!((status, &counted["rows"]), (200, &json!([[100]])));
    let explained = platform.post("v1/sql/explain", &json!({ "sql": READS[0] })).header(CALLER, granted.to_header());
    assert_eq!(answer(explained).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_hold_over_grpc_too() {
    let platform = platform().await;
    let mut client = QueryClient::new(kit::grpc::channel(&platform.queryd.url()).unwrap());
    let call = |sql: &str| ExecuteRequest { sql: sql.to_owned(), ..ExecuteRequest::default() };
    let granted = reader(&["workers"]);
    for sql in READS {
        let refused = client.execute(kit::grpc::request(call(sql), &granted, None)).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{sql}: {refused:?}");
        assert!(refused.message().contains("there is no dataset \"wages\""), "{sql}: {refused:?}");
        client.execute(kit::grpc::request(call(sql), &Caller::local(), None)).await.unwrap();
    }
    client.execute(kit::grpc::request(call("SELECT * FROM workers"), &granted, None)).await.unwrap();
}

/// It must not pass as the caller that a request without a statement has, who may do everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_no_caller_is_refused() {
    let platform = platform().await;
    let mut client = QueryClient::new(kit::grpc::channel(&platform.queryd.url()).unwrap());
    for nobody in ["", "reader", "e30", "bm90IGpzb24"] {
        let sql = platform.post("v1/sql", &json!({ "sql": "SELECT 1" })).header(CALLER, nobody);
        let schema = platform.http.get(platform.queryd.url().join("v1/sql/schema").unwrap()).header(CALLER, nobody);
        for request in [sql, schema] {
            let (status, refused) = answer(request).await;
            assert_eq!((status, &refused["code"]), (400, &json!("invalid_argument")), "{nobody:?}: {refused}");
            assert_eq!(refused["detail"], "x-lakehouse-caller states no caller", "{nobody:?}");
        }
        let mut call = tonic::Request::new(ExecuteRequest { sql: "SELECT 1".into(), ..ExecuteRequest::default() });
        call.metadata_mut().insert("x-lakehouse-caller", nobody.parse().unwrap());
        let refused = client.execute(call).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{nobody:?}: {refused:?}");
    }
}
