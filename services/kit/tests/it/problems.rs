//! What goes wrong is said the same way everywhere.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use kit::{CALLER, Caller, Role};
use serde_json::Value;

use crate::service::{send, start};

#[tokio::test]
async fn problem_body_is_as_documented() {
    let (server, _) = start(|_| {}).await;
    let answer = send(server.address(), "POST", "/order", &["x-request-id: r-1"], r#"{"items":[{"cuont":1}]}"#).await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    insta::assert_json_snapshot!(answer.json(), @r#"
    {
      "code": "invalid_argument",
      "detail": "items[0].cuont: unknown field `cuont`, expected `count` at line 1 column 18",
      "request_id": "r-1",
      "status": 400,
      "title": "The request is not valid",
      "type": "urn:lakehouse:problem:invalid_argument"
    }
    "#);
}

#[tokio::test]
async fn every_refusal_has_its_code() {
    let (server, _) = start(|http| http.message_bytes_max = 100).await;
    let address = server.address();
    let long = format!(r#"{{"items":[{}]}}"#, " ".repeat(100));
    for (method, target, headers, body, status, code) in [
        ("GET", "/nothing", &[][..], "", 404, "not_found"),
        ("DELETE", "/order", &[], "", 405, "method_not_allowed"),
        ("POST", "/order", &["content-type: text/csv"], "{}", 415, "unsupported_media_type"),
        ("POST", "/order", &["content-type: application/json"], "{", 400, "invalid_argument"),
        ("POST", "/order", &[], r#"{"items":[]} x"#, 400, "invalid_argument"),
        ("POST", "/order", &[], &long, 413, "payload_too_large"),
        ("GET", "/id", &["host: evil.example"], "", 403, "permission_denied"),
        ("GET", "/id", &["origin: https://evil.example"], "", 403, "permission_denied"),
        ("GET", "/panics", &[], "", 500, "internal"),
    ] {
        let answer = send(address, method, target, headers, body).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (status, Some(code)),
            "{method} {target} {answer:?}"
        );
        assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"), "{method} {target}");
    }
    assert_eq!(send(address, "GET", "/id", &[], "").await.status, 200, "the panic was one request's");
    let ok = ["content-type: application/x-www-form-urlencoded"];
    assert_eq!(send(address, "POST", "/order", &ok, r#"{"items":[]}"#).await.status, 200, "curl's default");
}

#[tokio::test]
async fn long_body_without_a_length_is_counted() {
    let (server, _) = start(|http| http.message_bytes_max = 100).await;
    let body = format!("70\r\n{}\r\n0\r\n\r\n", " ".repeat(0x70));
    let request = format!(
        "POST /order HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{body}",
        server.address()
    );
    let answer = crate::service::to_end(&mut crate::service::connect(server.address(), &request).await).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn request_id_is_accepted_or_made() {
    let (server, _) = start(|_| {}).await;
    let given = send(server.address(), "GET", "/id", &["x-request-id: abc"], "").await;
    assert_eq!((given.body.as_str(), given.header("x-request-id")), ("abc", Some("abc")));
    let long = format!("x-request-id: {}", "a".repeat(129));
    for bad in ["x-request-id: a b", long.as_str(), "x-none: 1"] {
        let made = send(server.address(), "GET", "/id", &[bad], "").await;
        assert_eq!((made.body.len(), made.header("x-request-id")), (32, Some(made.body.as_str())), "{bad}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let (server, _) = start(|_| {}).await;
    for _ in 0..2 {
        send(server.address(), "GET", "/id", &[], "").await;
    }
    send(server.address(), "BREW", "/id", &[], "").await;
    let metrics = send(server.address(), "GET", "/metrics", &[], "").await.body;
    for line in [
        r#"http_requests_total{method="GET",route="/id",status="200"} 2"#,
        r#"http_requests_total{method="other",route="/id",status="405"} 1"#,
        "http_requests_in_flight 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_parameter_where_there_is_none_is_named() {
    let (server, _) = start(|_| {}).await;
    let answer = send(server.address(), "GET", "/takes-nothing?a%20b=c&d", &[], "").await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &"invalid_argument".into()));
    assert_eq!(answer.json()["detail"], "query parameter a b: this route takes none");
    for target in ["/takes-nothing", "/takes-nothing?"] {
        assert_eq!(send(server.address(), "GET", target, &[], "").await.body, "nothing", "{target}");
    }
}

#[tokio::test]
async fn a_caller_is_whom_a_service_states_and_nobody_else() {
    let (server, _) = start(|_| {}).await;
    let caller = Caller { tenant: "theirs".into(), role: Role::Reader, grants: [].into() };
    let stated = format!("{CALLER}: {}", caller.to_header());
    assert_eq!(send(server.address(), "GET", "/caller", &[&stated], "").await.body, "theirs");
    assert_eq!(send(server.address(), "GET", "/caller", &[], "").await.body, "local");
    let nobody = format!("{CALLER}: nobody");
    let refused = send(server.address(), "GET", "/caller", &[&nobody], "").await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some("invalid_argument")));
    let call = send(server.address(), "POST", "/caller", &[&nobody, "content-type: application/grpc"], "").await;
    assert_eq!((call.status, call.header("grpc-status")), (200, Some("3")), "{call:?}");
}

/// What this thread logs, one JSON object a line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines with this message.
    fn saying(&self, message: &str) -> Vec<Value> {
        let bytes = self.0.lock().unwrap();
        let lines = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>().map(Result::unwrap);
        lines.filter(|line| line["message"] == message).collect()
    }
}

#[tokio::test]
async fn a_failure_is_logged_once_with_the_ids_that_its_request_came_with() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    // The server's tasks run on this thread too.
    let _here = tracing::subscriber::set_default(subscriber.finish());
    let (server, _) = start(|_| {}).await;
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    send(server.address(), "GET", "/fails", &["x-request-id: r-1", trace], "").await;
    send(server.address(), "GET", "/panics", &["x-request-id: r-2"], "").await;
    send(server.address(), "GET", "/nothing", &["x-request-id: r-3"], "").await;
    let lines = log.saying("request failed");
    let told = |line: &Value, key: &str| line[key].as_str().map(str::to_owned);
    let ids: Vec<_> = lines.iter().map(|line| (told(line, "request_id"), told(line, "trace_id"))).collect();
    let trace_id = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
    assert_eq!(ids, [(Some("r-1".into()), trace_id), (Some("r-2".into()), None)], "a refusal is no failure");
    let (code, causes) = (told(&lines[0], "code"), told(&lines[0], "causes"));
    assert_eq!(
        (told(&lines[0], "level"), code, causes),
        (Some("ERROR".into()), Some("bad_gateway".into()), Some("disk on fire".into()))
    );
}
