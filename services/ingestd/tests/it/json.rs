//! NDJSON and JSON arrays.

use crate::platform::{Platform, schema};

#[tokio::test(flavor = "multi_thread")]
async fn objects_become_rows_whatever_members_they_have() {
    let platform = Platform::start().await;
    let text = "{\"id\":1,\"tags\":[\"a\",\"b\"]}\n\n{\"id\":2,\"at\":{\"city\":\"Rome\"}}\n";
    let body = platform.ingest("lines", text).await.expect(201);
    assert_eq!(schema(&body), ["id BIGINT", "tags VARCHAR[]", "at STRUCT(city VARCHAR)"]);
    assert_eq!(platform.rows("lines").await, ["1|[a, b]|", "2||{city: Rome}"]);
    let body = platform.ingest("objects", "[{\"a\":1},\n {\"a\":null, \"b\":\"x\"}]").await.expect(201);
    assert_eq!(schema(&body), ["a BIGINT", "b VARCHAR"]);
    assert_eq!(platform.rows("objects").await, ["1|", "|x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_line_is_named_by_its_number() {
    let platform = Platform::start().await;
    let cases = [
        ("", "{\"a\":1}\n\n{\"a\":\n{\"a\":3}\n", 3, None),
        ("", "{\"a\":1}\n5\n", 2, None),
        ("?types=a:BIGINT", "{\"a\":1}\n\n{\"a\":null}\n{\"a\":\"x\"}\n", 4, Some("a")),
        ("?format=json", "[{\"a\":1},\n{\"a\":}]", 2, None),
    ];
    for (query, text, line, column) in cases {
        let body = platform.ingest(&format!("t{query}"), text).await.refused(400, "invalid_argument");
        assert_eq!((&body["line"], body["column"].as_str()), (&line.into(), column), "{body}");
        platform.assert_untouched("t").await;
    }
    let text = "[{\"a\":1},{\"a\":\"x\"}]";
    let body = platform.ingest("t?types=a:BIGINT", text).await.refused(400, "invalid_argument");
    assert_eq!(body["record"], 2, "{body}");
    platform.ingest("t?on_error=skip", text).await.refused(400, "invalid_argument");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_lines_can_be_skipped_counted_and_shown() {
    let platform = Platform::start().await;
    let text = "{\"a\":1,\"b\":\"x\"}\nnot json\n\n[1]\n{\"a\":\"y\",\"b\":\"z\"}\n{\"b\":\"w\"}\n{\"a\":";
    let body = platform.ingest("t?types=a:BIGINT&on_error=skip&format=ndjson", text).await.expect(201);
    assert_eq!((&body["rows"], &body["skipped"]), (&2.into(), &4.into()), "{body}");
    let lines: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| e["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 4, 5, 7]);
    assert_eq!((&body["errors"][2]["column"], &body["errors"][2]["value"]), (&"a".into(), &"\"y\"".into()));
    assert_eq!(platform.rows("t").await, ["1|x", "|w"]);
}
