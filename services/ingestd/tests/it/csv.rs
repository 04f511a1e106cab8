//! CSV: what is found out, what can be said, and what is wrong with a row.

use crate::platform::{Platform, schema};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_a_dataset() {
    let platform = Platform::start().await;
    let body =
        platform.ingest("workers", "id,name,pay,since\n1,Ann,20.5,2024-01-31\n2,Bob,,2024-02-01\n").await.expect(201);
    assert_eq!(schema(&body), ["id BIGINT", "name VARCHAR", "pay DOUBLE", "since DATE"]);
    assert_eq!((&body["rows"], &body["version"], &body["objects"]), (&2.into(), &1.into(), &1.into()));
    assert!(body.get("skipped").is_none());
    let manifest = platform.manifest("workers").await.unwrap();
    assert_eq!(body["dataset_id"], manifest.dataset_id);
    assert_eq!(body["bytes"], manifest.objects[0].bytes);
    assert!(manifest.objects[0].key.starts_with(&format!("datasets/{}/", manifest.dataset_id)));
    assert_eq!(platform.rows("workers").await, ["1|Ann|20.5|2024-01-31", "2|Bob||2024-02-01"]);
    assert_eq!(platform.spooled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_files_are_read_as_they_are() {
    let platform = Platform::start().await;
    let cases: [(&str, &str, &str, &[&str], &[&str]); 13] = [
        ("header_only", "", "a,b\n", &["a VARCHAR", "b VARCHAR"], &[]),
        ("no_last_line_end", "", "a,b\n1,2", &["a BIGINT", "b BIGINT"], &["1|2"]),
        ("bom_crlf", "", "\u{feff}a,b\r\n1,x\r\n", &["a BIGINT", "b VARCHAR"], &["1|x"]),
        ("newline_in_quotes", "", "a,b\n1,\"x\ny\"\n2,\"\"\"\"\n", &["a BIGINT", "b VARCHAR"], &["1|x\ny", "2|\""]),
        ("one_column", "", "name\nAnn\nBob\n", &["name VARCHAR"], &["Ann", "Bob"]),
        ("unicode", "", "größe,\"a \"\"b\"\" c\"\n1,ß\n", &["größe BIGINT", "a \"b\" c VARCHAR"], &["1|ß"]),
        ("semicolons", "", "a;b\n1,5;2\n", &["a VARCHAR", "b BIGINT"], &["1,5|2"]),
        ("no_header", "?header=false", "1,x\n2,y\n", &["column0 BIGINT", "column1 VARCHAR"], &["1|x", "2|y"]),
        ("skipped_lines", "?skip=2", "report, of\n\na,b\n1,2\n", &["a BIGINT", "b BIGINT"], &["1|2"]),
        ("nulls", "?null=NA", "a,b\n1,NA\nNA,2\n", &["a BIGINT", "b BIGINT"], &["1|", "|2"]),
        (
            "typed",
            "?types=a:DECIMAL(9,2),b:HUGEINT",
            "a,b\n1.5,7\n",
            &["a DECIMAL(9,2)", "b DECIMAL(38,0)"],
            &["1.50|7"],
        ),
        ("dates", "?date_format=%25d.%25m.%25Y", "d\n31.12.2024\n", &["d DATE"], &["2024-12-31"]),
        ("comma_decimals", "?decimal_separator=,", "a;b\n1,5;x\n", &["a DOUBLE", "b VARCHAR"], &["1.5|x"]),
    ];
    for (name, query, text, columns, rows) in cases {
        let body = platform.ingest(&format!("{name}{query}"), text.to_owned()).await.expect(201);
        assert_eq!(schema(&body), columns, "{name}");
        assert_eq!(platform.rows(name).await, rows, "{name}");
    }
    let nul = platform.ingest("nul", "a,b\n1,x\0y\n").await.expect(201);
    assert_eq!((&nul["rows"], platform.rows("nul").await), (&1.into(), vec!["1|x\0y".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_row_is_named_by_line_column_and_value() {
    let platform = Platform::start().await;
    let cases: [(&str, &[u8], u64, Option<&str>, &str); 7] = [
        ("?types=id:INTEGER", b"id,name\n1,\"a\nb\"\nx,b\n", 4, Some("id"), "x"),
        ("?types=id:HUGEINT", b"id\r\n1\r\n999999999999999999999999999999999999999\r\n", 3, Some("id"), "9999"),
        ("", b"a,b,c\n1,2,3\n4,5\n6,7,8\n", 3, Some("c"), "4,5"),
        ("", b"a,b,c\n1,2,3\n4,5,6,7\n", 3, None, "4,5,6,7"),
        ("", b"a,b\n1,2,3\n4,5,6\n", 2, None, "1,2,3"),
        ("", b"a,b\n1,caf\xe9\n2,x\n", 2, None, ""),
        ("", b"a,b\n1,\"x\n2,z\n", 2, None, ""),
    ];
    for (query, text, line, column, value) in cases {
        let body = platform.ingest(&format!("t{query}"), text).await.refused(400, "invalid_argument");
        assert_eq!(body["line"], line, "{body}");
        if column.is_some() {
            assert_eq!(body["column"].as_str(), column, "{body}");
        }
        assert!(body["value"].as_str().unwrap_or_default().contains(value), "{body}");
        assert!(body["detail"].as_str().unwrap().contains(&format!("line {line}")), "{body}");
        platform.assert_untouched("t").await;
    }
    assert_eq!(platform.spooled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_rows_can_be_skipped_counted_and_shown() {
    let platform = Platform::start().await;
    let mut text = "id,name\n".to_owned();
    for row in 0..100 {
        text.push_str(&if row % 4 == 0 { format!("x{row},bad\n") } else { format!("{row},good\n") });
    }
    let body = platform.ingest("t?types=id:INTEGER&on_error=skip", text).await.expect(201);
    assert_eq!((&body["rows"], &body["skipped"]), (&75.into(), &25.into()));
    let errors = body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 20);
    assert_eq!(
        (&errors[1]["line"], &errors[1]["column"], &errors[1]["value"]),
        (&6.into(), &"id".into(), &"x4".into())
    );
    let clean = platform.ingest("clean?on_error=skip", "a\n1\n").await.expect(201);
    assert_eq!((&clean["skipped"], &clean["errors"]), (&0.into(), &serde_json::json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_value_widens_a_column_that_was_not_declared() {
    let platform = Platform::start().await;
    let mut text = "id,n\n".to_owned();
    (0..50_000).for_each(|row| text.push_str(&format!("{row},1\n")));
    text.push_str("50000,1.5\nlast,2\n");
    let body = platform.ingest("t", text.clone()).await.expect(201);
    assert_eq!(schema(&body), ["id VARCHAR", "n DOUBLE"]);
    assert_eq!((&body["rows"], platform.objects().await.len()), (&50_002.into(), 1));
    // Where rows may be skipped, the first rows' types stand.
    let skipped = platform.ingest("s?on_error=skip", text).await.expect(201);
    assert_eq!(schema(&skipped), ["id BIGINT", "n BIGINT"]);
    assert_eq!(skipped["errors"][0]["line"], 50_003);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_columns_are_kept_or_refused() {
    let platform = Platform::start().await;
    for (text, word) in [("a,A\n1,2\n", "\"A\""), ("a,,c\n1,2,3\n", "column 2"), ("", "empty")] {
        let body = platform.ingest("t", text).await.refused(400, "invalid_argument");
        assert!(body["detail"].as_str().unwrap().contains(word), "{body}");
    }
    let body = platform.ingest("t?types=z:INTEGER", "a\n1\n").await.refused(400, "invalid_argument");
    assert!(body["detail"].as_str().unwrap().contains("\"z\""), "{body}");
    let body = platform.ingest("t?types=a:WRONG", "a\n1\n").await.refused(400, "invalid_argument");
    assert!(!body["detail"].as_str().unwrap().contains("spool"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_columns_are_no_trouble() {
    let platform = Platform::with(|config| {
        config.columns_max = 10_000;
        config.duckdb_memory_bytes = 4 << 30;
    })
    .await;
    let line = |what: &str, count: usize| (0..count).map(|i| format!("{what}{i}")).collect::<Vec<_>>().join(",") + "\n";
    let body = platform.ingest("wide", line("c", 10_000) + &line("", 10_000)).await.expect(201);
    assert_eq!(schema(&body).last().unwrap(), "c9999 BIGINT");
    let body = platform.ingest("wider", line("c", 10_001) + &line("", 10_001)).await.refused(400, "invalid_argument");
    assert!(body["detail"].as_str().unwrap().contains("columns_max"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_has_a_length_that_it_may_have() {
    let platform = Platform::with(|config| config.line_bytes_max = 4 << 20).await;
    let long = |bytes: usize| format!("a,b\n1,{}\n2,y\n", "x".repeat(bytes));
    let body = platform.ingest("long", long(3 << 20)).await.expect(201);
    assert_eq!(body["rows"], 2);
    platform.ingest("t", long(5 << 20)).await.refused(400, "invalid_argument");
    assert!(platform.manifest("t").await.is_none());
}
