//! Nothing gets through, and everything that should works.

use serde_json::json;

use crate::platform::Platform;

pub(crate) fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).map(|line| line.replace("\\n", "\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_on_a_connection_that_stays_open() {
    let platform = Platform::with_data().await;
    let folder = format!("{}/objects/", platform.folder.path().display());
    // One connection: the pool has no room for another, and what it did is seen from the port.
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).pool_max_idle_per_host(1).build().unwrap();
    let url = platform.queryd.url().join("v1/sql").unwrap();
    let (mut failures, mut ports, mut count) = (Vec::new(), std::collections::HashSet::new(), 0);
    for line in lines(include_str!("hostile.txt")) {
        let (status, sql) = line.split_once(' ').unwrap();
        let sql = sql.replace("{FOLDER}", &folder);
        let answer = http.post(url.clone()).json(&json!({ "sql": sql })).send().await.unwrap();
        ports.insert(answer.remote_addr());
        assert_ne!(answer.headers().get("connection").map(|v| v.as_bytes()), Some(b"close".as_slice()));
        let (got, body) = (answer.status().as_u16(), answer.text().await.unwrap());
        let leaks = !sql.contains(&folder) && body.contains(platform.folder.path().to_str().unwrap());
        if got.to_string() != status || leaks || !body.contains("\"code\"") {
            failures.push(format!("{sql}: {got} {body}"));
        }
        count += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 100 && ports.len() == 1);
    assert!(!std::path::Path::new("/tmp/lakehouse-hostile.csv").exists());
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn legitimate_statements_work() {
    let platform = Platform::with_data().await;
    let (mut failures, mut count) = (Vec::new(), 0);
    for sql in lines(include_str!("legitimate.txt")) {
        let (status, body) = platform.ask(json!({ "sql": sql })).await;
        if status != 200 || body["row_count"].as_u64() != body["rows"].as_array().map(|rows| rows.len() as u64) {
            failures.push(format!("{sql}: {status} {body}"));
        }
        if body.to_string().contains(".parquet") {
            failures.push(format!("{sql}: shows where objects lie: {body}"));
        }
        count += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 60, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_do_not_show_where_objects_lie() {
    let platform = Platform::with_data().await;
    for analyze in [false, true] {
        let body =
            json!({ "sql": "SELECT state, avg(pay) FROM workers WHERE id > 3 GROUP BY state", "analyze": analyze });
        let answer = platform.post("v1/sql/explain", &body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let plan = answer.json::<serde_json::Value>().await.unwrap()["plan"].as_str().unwrap().to_owned();
        assert!(plan.to_uppercase().contains("READ_PARQUET"), "{plan}");
        assert!(!plan.contains("objects") && !plan.contains(".parquet"), "{plan}");
    }
    let answer = platform.post("v1/sql/explain", &json!({ "sql": "SET threads = 1" })).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}
