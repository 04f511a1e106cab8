//! What is answered, and in which words it is refused.

use serde_json::json;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_has_the_fixed_shape() {
    let platform = Platform::with_data().await;
    let sql = "SELECT state, count(*) AS n FROM workers GROUP BY state ORDER BY state";
    for path in ["v1/sql", "sql"] {
        let answer = platform.post(path, &json!({ "sql": sql })).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(
            answer.text().await.unwrap(),
            r#"{"columns":[{"name":"state","type":"VARCHAR"},{"name":"n","type":"BIGINT"}],"rows":[["IL",34],["OH",33],["TX",33]],"row_count":3}"#
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_type_keep_their_meaning() {
    let platform = Platform::start().await;
    for (value, expected, logical_type) in [
        ("9223372036854775807", json!(9_223_372_036_854_775_807_i64), "BIGINT"),
        ("18446744073709551615::UBIGINT", json!(u64::MAX), "UBIGINT"),
        (
            "(-170141183460469231731687303715884105728)::HUGEINT",
            json!("-170141183460469231731687303715884105728"),
            "HUGEINT",
        ),
        (
            "340282366920938463463374607431768211455::UHUGEINT",
            json!("340282366920938463463374607431768211455"),
            "UHUGEINT",
        ),
        ("(-0.05)::DECIMAL(18,2)", json!("-0.05"), "DECIMAL(18,2)"),
        ("1.5::DOUBLE", json!(1.5), "DOUBLE"),
        ("0.1::FLOAT", json!(0.1), "FLOAT"),
        ("'nan'::DOUBLE", json!("NaN"), "DOUBLE"),
        ("'-inf'::FLOAT", json!("-Infinity"), "FLOAT"),
        ("DATE '2024-02-29'", json!("2024-02-29"), "DATE"),
        ("'infinity'::DATE", json!("infinity"), "DATE"),
        ("TIME '10:20:30.5'", json!("10:20:30.500"), "TIME"),
        ("TIMESTAMP '2024-02-29 10:20:30.000001'", json!("2024-02-29T10:20:30.000001"), "TIMESTAMP"),
        ("TIMESTAMPTZ '2024-02-29 10:20:30+02'", json!("2024-02-29T08:20:30Z"), "TIMESTAMP WITH TIME ZONE"),
        ("TIMESTAMP_NS '2024-02-29 10:20:30.000000001'", json!("2024-02-29T10:20:30.000000001"), "TIMESTAMP_NS"),
        ("INTERVAL '1 year 2 months 3 days 04:05:06'", json!("P1Y2M3DT4H5M6S"), "INTERVAL"),
        ("'\\x00\\xFF'::BLOB", json!("AP8="), "BLOB"),
        ("'0110'::BIT", json!("0110"), "BIT"),
        ("'b'::ENUM('a', 'b')", json!("b"), "ENUM('a', 'b')"),
        ("'00000000-0000-0000-0000-00000000000a'::UUID", json!("00000000-0000-0000-0000-00000000000a"), "UUID"),
        ("true", json!(true), "BOOLEAN"),
        ("NULL", json!(null), "INTEGER"),
        ("'a\"\\\n\u{1}ä'", json!("a\"\\\n\u{1}ä"), "VARCHAR"),
        ("[1, NULL, 3]", json!([1, null, 3]), "INTEGER[]"),
        ("[1.5, 2]::DOUBLE[2]", json!([1.5, 2.0]), "DOUBLE[2]"),
        (
            "{'a': 1, 'b': {'c': [DATE '2024-01-01']}}",
            json!({ "a": 1, "b": { "c": ["2024-01-01"] } }),
            "STRUCT(a INTEGER, b STRUCT(c DATE[]))",
        ),
        ("row(1, 'x')", json!([1, "x"]), "STRUCT(INTEGER, VARCHAR)"),
        ("MAP {'k': 1.5}", json!({ "k": "1.5" }), "MAP(VARCHAR, DECIMAL(2,1))"),
        ("MAP {1: 'x'}", json!([{ "key": 1, "value": "x" }]), "MAP(INTEGER, VARCHAR)"),
        ("union_value(n := 2)::UNION(n INTEGER, s VARCHAR)", json!(2), "UNION(n INTEGER, s VARCHAR)"),
        ("'{\"a\": [1]}'::JSON", json!({ "a": [1] }), "JSON"),
    ] {
        let (status, body) = platform.ask(json!({ "sql": format!("SELECT {value} AS v") })).await;
        assert_eq!(status, 200, "{value}: {body}");
        assert_eq!(body["rows"][0][0], expected, "{value}");
        assert_eq!(body["columns"][0]["type"], logical_type, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_there_is_can_be_answered() {
    let platform = Platform::start().await;
    let rows = platform.rows("SELECT * FROM test_all_types()").await;
    assert_eq!(rows.as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_by_place_and_by_name() {
    let platform = Platform::with_data().await;
    let sql = "SELECT count(*) FROM workers WHERE state = ? AND pay > ?";
    let (_, body) = platform.ask(json!({ "sql": sql, "params": ["IL", 20] })).await;
    let (_, again) = platform.ask(json!({ "sql": sql, "params": ["TX", 30.5] })).await;
    assert_ne!(body["rows"], again["rows"]);
    let named = json!({ "sql": "SELECT $a::INTEGER + $b::INTEGER, $c", "params": { "b": 2, "a": 40, "c": null } });
    assert_eq!(platform.ask(named).await.1["rows"], json!([[42, null]]));
    for (params, sql) in [
        (json!([1]), "SELECT ?, ?"),
        (json!([1]), "SELECT 1"),
        (json!(null), "SELECT ?"),
        (json!({ "x": 1 }), "SELECT $y"),
        (json!([[1]]), "SELECT ?"),
        (json!("x"), "SELECT ?"),
    ] {
        let (status, body) = platform.ask(json!({ "sql": sql, "params": params })).await;
        assert_eq!((status, &body["code"]), (400, &json!("invalid_argument")), "{sql} {params}: {body}");
    }
    // A value is a value, whatever it looks like.
    let (_, body) = platform.ask(json!({ "sql": "SELECT ?", "params": ["1; DROP VIEW workers"] })).await;
    assert_eq!(body["rows"], json!([["1; DROP VIEW workers"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_statement_are_duckdbs_own_words() {
    let platform = Platform::with_data().await;
    for (sql, words) in [
        ("SELEC 1", "syntax error"),
        ("SELECT nope FROM workers", "nope"),
        ("SELECT * FROM wrkers", "did you mean \\\"workers\\\"?"),
        ("SELECT name::INTEGER FROM workers", "Conversion Error"),
        ("SELECT upper(1, 2)", "upper"),
        ("SELECT * FROM dataset_at('workers', 99)", "no version 99"),
        ("SELECT sum(name) FROM workers", "sum"),
        ("SELECT error('on purpose')", "on purpose"),
    ] {
        let (status, body) = platform.ask(json!({ "sql": sql })).await;
        assert_eq!((status, &body["code"]), (400, &json!("invalid_argument")), "{sql}: {body}");
        assert!(body["detail"].to_string().contains(words), "{sql}: {body}");
    }
    for path in ["v1/sql?timeout=1", "sql?timeout=1", "v1/sql/explain?timeout=1", "v1/sql/schema?timeout=1"] {
        let answer = match path.contains("schema") {
            true => platform.http.get(platform.queryd.url().join(path).unwrap()).send().await.unwrap(),
            false => platform.post(path, &json!({ "sql": "SELECT 1" })).send().await.unwrap(),
        };
        assert_eq!(answer.status(), 400, "{path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert!(body["detail"].as_str().unwrap().starts_with("query parameter timeout: "), "{path}: {body}");
    }
    let (status, body) = platform.ask(json!({ "sql": "SELECT 1", "max_row": 1 })).await;
    assert!(status == 400 && body["detail"].to_string().contains("max_row"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_plan_gives_fresh_answers() {
    let platform = Platform::with_data().await;
    let sql = "SELECT count(*), max(id) FROM workers WHERE id >= ?";
    for _ in 0..3 {
        assert_eq!(platform.ask(json!({ "sql": sql, "params": [50] })).await.1["rows"], json!([[50, 99]]));
    }
    platform.register("workers", &crate::platform::WORKERS.replace("range(100)", "range(100, 150)")).await;
    assert_eq!(platform.ask(json!({ "sql": sql, "params": [50] })).await.1["rows"], json!([[100, 149]]));
    assert_eq!(platform.ask(json!({ "sql": sql, "params": [149] })).await.1["rows"], json!([[1, 149]]));
}
