//! Statements, their values and their parameters.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::context::Context;
use crate::data;
use crate::http::Http;

/// A value as SQL, and as JSON.
const VALUES: [(&str, &str); 20] = [
    ("9223372036854775807::BIGINT", "9223372036854775807"),
    ("18446744073709551615::UBIGINT", "18446744073709551615"),
    ("-170141183460469231731687303715884105727::HUGEINT", r#""-170141183460469231731687303715884105727""#),
    ("1.50::DECIMAL(9,2)", r#""1.50""#),
    ("0.1::DOUBLE", "0.1"),
    ("'nan'::DOUBLE", r#""NaN""#),
    ("'-inf'::DOUBLE", r#""-Infinity""#),
    ("true", "true"),
    ("NULL", "null"),
    ("'über \"quoted\"\n'", r#""über \"quoted\"\n""#),
    ("DATE '2024-02-29'", r#""2024-02-29""#),
    ("TIMESTAMP '2024-02-29 12:34:56.789'", r#""2024-02-29T12:34:56.789""#),
    ("TIME '12:34:56'", r#""12:34:56""#),
    ("'\\x00\\xFF'::BLOB", r#""AP8=""#),
    ("'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID", r#""6ba7b810-9dad-11d1-80b4-00c04fd430c8""#),
    ("[1, NULL, 3]", "[1,null,3]"),
    ("{'a': 1, 'b': 'x'}", r#"{"a":1,"b":"x"}"#),
    ("[{'a': [1.5::DOUBLE]}]", r#"[{"a":[1.5]}]"#),
    ("(SELECT sum(range) FROM range(5))", r#""10""#),
    ("(SELECT count(*) FROM range(5))", "5"),
];

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let (http, name) = (&context.http, context.name("sql"));
    http.ingest(&name, "format=csv", data::csv(2_000)).await?.is(201)?;
    for (sql, wanted) in VALUES {
        let (value, wanted) = (http.value(&format!("SELECT {sql}")).await?, serde_json::from_str::<Value>(wanted)?);
        ensure!(value == wanted, "{sql} is {value} instead of {wanted}");
    }
    shape(http, &name).await.context("the answer's shape")?;
    parameters(http, &name).await.context("parameters")?;
    analytical(http, &name).await.context("what analysts write")?;
    refused(http, &name).await.context("what is wrong")
}

async fn shape(http: &Http, name: &str) -> Result<()> {
    let sql = format!("SELECT id, pay FROM {name} ORDER BY id");
    let answer = http.post_json("/v1/sql", &json!({ "sql": sql, "max_rows": 2 })).await?.is(200)?.json()?;
    let wanted = json!({
        "columns": [{ "name": "id", "type": "BIGINT" }, { "name": "pay", "type": "DOUBLE" }],
        "rows": [[0, 10.0], [1, 10.25]],
        "row_count": 2,
        "truncated": true,
    });
    ensure!(answer == wanted, "{answer}");
    let whole = http.post_json("/sql", &json!({ "sql": sql, "max_rows": 2_000 })).await?.is(200)?.json()?;
    ensure!(whole["row_count"] == 2_000 && whole["truncated"] != json!(true), "cut where nothing was to be cut");
    let none = http.post_json("/v1/sql", &json!({ "sql": format!("SELECT id FROM {name} WHERE id < 0") })).await?;
    let none = none.is(200)?.json()?;
    ensure!(none["rows"] == json!([]) && none["row_count"] == 0 && none["columns"][0]["name"] == "id", "{none}");
    Ok(())
}

async fn parameters(http: &Http, name: &str) -> Result<()> {
    let cases = [
        (format!("SELECT count(*) FROM {name} WHERE id < ? AND name <> ?"), json!([10, "worker 3"])),
        (
            format!("SELECT count(*) FROM {name} WHERE id < $most AND name <> $name"),
            json!({ "most": 10, "name": "worker 3" }),
        ),
        (format!("SELECT count(*) FROM {name} WHERE id < 9 AND name <> $1"), json!(["' OR 1=1 --"])),
    ];
    for (sql, params) in cases {
        let answer = http.post_json("/v1/sql", &json!({ "sql": sql, "params": params })).await?.is(200)?.json()?;
        ensure!(answer["rows"] == json!([[9]]), "{sql}: {answer}");
    }
    let missing = json!({ "sql": format!("SELECT * FROM {name} WHERE id = ?"), "params": [] });
    http.post_json("/v1/sql", &missing).await?.problem(400, "invalid_argument")?;
    Ok(())
}

async fn analytical(http: &Http, name: &str) -> Result<()> {
    let statements = [
        format!("WITH rich AS (SELECT * FROM {name} WHERE pay > 100) SELECT count(*) FROM rich"),
        format!("SELECT id, rank() OVER (ORDER BY pay DESC) FROM {name} LIMIT 3"),
        format!("SELECT a.id FROM {name} a JOIN {name} b USING (id) WHERE b.pay > 100"),
        format!("SELECT id % 3 AS k, avg(pay) FROM {name} GROUP BY ALL ORDER BY ALL"),
        format!("PIVOT {name} ON id % 2 IN (0, 1) USING sum(pay)"),
        format!("DESCRIBE {name}"),
        format!("SUMMARIZE {name}"),
        "SHOW TABLES".to_owned(),
        format!("EXPLAIN SELECT * FROM {name}"),
        format!("FROM {name} SELECT id LIMIT 1; -- one statement, and a comment"),
    ];
    for sql in statements {
        ensure!(!http.rows(&sql).await?.is_empty(), "{sql}: no rows");
    }
    let tables = http.rows("SHOW TABLES").await?;
    ensure!(tables.iter().any(|row| row[0] == name), "SHOW TABLES lacks {name}");
    let plan = http.post_json("/v1/sql/explain", &json!({ "sql": format!("SELECT * FROM {name}") })).await?.is(200)?;
    ensure!(!plan.text().is_empty(), "an empty plan");
    let schema = http.get("/v1/sql/schema").await?.is(200)?.text();
    ensure!(schema.contains(name), "/v1/sql/schema lacks {name}");
    Ok(())
}

async fn refused(http: &Http, name: &str) -> Result<()> {
    for sql in ["SELEC 1", "", "SELECT nothing FROM range(1)", "SELECT 'a'::INTEGER", "SELECT * FROM never_registered"]
    {
        let answer = http.post_json("/v1/sql", &json!({ "sql": sql })).await?;
        ensure!(matches!(answer.status, 400 | 404), "{sql}: {}", answer.status);
    }
    let unknown = json!({ "sql": format!("SELECT 1 FROM {name}"), "max_row": 1 });
    let problem = http.post_json("/v1/sql", &unknown).await?.problem(400, "invalid_argument")?;
    ensure!(problem["detail"].as_str().is_some_and(|detail| detail.contains("max_row")), "{problem}");
    Ok(())
}
