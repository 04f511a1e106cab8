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

fn served(platform: &Platform) -> Routes {
    let mut stream = TcpStream::connect(platform.address()).unwrap();
    stream.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
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

#[test]
fn routes_are_read_from_the_text() {
    let text = "`GET /a` and `POST /b/{name}`, not `get /c`, `GET x`, `--post /d` or GET /e";
    assert_eq!(documented(text), Routes::from(["GET /a".to_owned(), "POST /b/{name}".to_owned()]));
}
