//! docs/API.md and what the platform says of itself.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::platform::Platform;

const DOCUMENT: &str = include_str!("../../../docs/API.md");
const METHODS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS"];

/// `METHOD /path/{parameter}`
type Routes = BTreeSet<String>;

/// Every route that stands between backticks.
fn documented(text: &str) -> Routes {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let routes = quoted.filter_map(|quoted| quoted.split_once(' '));
    let routes = routes.filter(|(method, path)| METHODS.contains(method) && path.starts_with('/'));
    routes.map(|(method, path)| format!("{method} {path}")).collect()
}

/// The whole answer to a request without a body.
fn answer(platform: &Platform, method: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(platform.address()).unwrap();
    let head =
        format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn served(platform: &Platform) -> Routes {
    let answer = answer(platform, "GET", "/openapi.json");
    let document: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |key| (path, key)));
    let operations = operations.map(|(path, key)| (path, key.to_uppercase()));
    let operations = operations.filter(|(_, method)| METHODS.contains(&method.as_str()));
    operations.map(|(path, method)| format!("{method} {path}")).collect()
}

#[test]
fn every_route_is_documented_and_every_documented_route_is_served() {
    let platform = Platform::start(&[]);
    let (documented, served) = (documented(DOCUMENT), served(&platform));
    assert!(served.len() >= 15, "{served:?}");
    let missing: Vec<_> = served.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&served).collect();
    assert!(missing.is_empty() && invented.is_empty(), "not documented: {missing:?}; not served: {invented:?}");
}

/// A typo must not pass silently, but where a route copies another API's leniency.
#[test]
fn every_route_refuses_a_parameter_that_it_does_not_know() {
    const LENIENT: [&str; 4] = ["POST /v1/embeddings", "POST /api/", "GET /v1/models", "POST /v1/chat/"];
    let platform = Platform::start(&[]);
    let routes = served(&platform);
    let strict = routes.iter().filter(|route| route.contains(" /v1/") || route.contains(" /sql"));
    let strict: Vec<_> = strict.filter(|route| !LENIENT.iter().any(|lenient| route.starts_with(lenient))).collect();
    assert!(strict.len() >= 30, "{strict:?}");
    for route in strict {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace(['{', '}'], "");
        let answer = answer(&platform, method, &format!("{path}?no_such_parameter=1"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{route}: {answer}");
        assert!(answer.contains("no_such_parameter") || method == "HEAD", "{route}: {answer}");
    }
}

#[test]
fn routes_are_read_from_the_text() {
    let text = "`GET /a` and `POST /b/{name}`, not `get /c`, `GET x`, `--post /d` or GET /e";
    assert_eq!(documented(text), Routes::from(["GET /a".to_owned(), "POST /b/{name}".to_owned()]));
}
