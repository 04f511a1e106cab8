//! Headers that end at a hop, and what the gateway says of its client.
//!
//! Policy: what clients claim of hops before this one (`Forwarded`, `X-Forwarded-*`, `X-Real-IP`)
//! is dropped and replaced by what is known here; so is whom it claims to call for. `Origin` ends here too: it was checked against
//! the gateway's own `allowed_hosts`, which the services do not share.

use http::header::{
    CONNECTION, FORWARDED, HOST, HeaderName, HeaderValue, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Version};
use kit::CALLER;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const HTTP: HeaderValue = HeaderValue::from_static("http");

fn ends_at_a_hop(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == TE
        || *name == UPGRADE
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
        || *name == PROXY_AUTHORIZATION
        || *name == PROXY_AUTHENTICATE
        || *name == HTTP2_SETTINGS
}

fn is_a_claim_of_the_client(name: &HeaderName) -> bool {
    *name == FORWARDED
        || *name == ORIGIN
        || *name == CALLER
        || name.as_str().starts_with("x-forwarded-")
        || name.as_str() == "x-real-ip"
}

/// Removes what is meant for this hop alone, `Connection`'s own list included.
pub(crate) fn strip_hop(headers: &mut HeaderMap) {
    // Most messages have none: one look over the names is cheaper than nine lookups.
    if headers.keys().any(ends_at_a_hop) {
        remove_hop(headers);
    }
}

#[cold]
fn remove_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        // Naming these must not take them from the service: they are not this hop's.
        .filter(|name| *name != HOST && !name.as_str().starts_with("content-"))
        .collect();
    for name in listed {
        headers.remove(name);
    }
    remove_where(headers, ends_at_a_hop);
}

fn remove_where(headers: &mut HeaderMap, unwanted: fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// What is known of a client, once per connection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: Option<HeaderValue>,
}

impl Client {
    pub(crate) fn new(peer: std::net::SocketAddr) -> Self {
        Client { address: HeaderValue::from_str(&peer.ip().to_canonical().to_string()).ok() }
    }
}

fn names_trailers(codings: &HeaderValue) -> bool {
    let codings = codings.to_str().unwrap_or_default();
    codings.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// Makes a client's request headers those of the gateway's own request to `authority`.
pub(crate) fn forward(
    headers: &mut HeaderMap,
    client: &Client,
    authority: &HeaderValue,
    stated: Option<&http::uri::Authority>,
) {
    let takes_trailers = headers.get(TE).is_some_and(names_trailers);
    strip_hop(headers);
    if takes_trailers {
        // Of the codings that end at a hop this one can be kept up: trailers are passed on.
        headers.insert(TE, TRAILERS);
    }
    if headers.keys().any(is_a_claim_of_the_client) {
        remove_where(headers, is_a_claim_of_the_client);
    }
    let asked = headers.insert(HOST, authority.clone());
    // HTTP/2 says it in the target; so does an absolute one in HTTP/1, where it outranks Host.
    let asked = stated.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()).or(asked);
    if let Some(asked) = asked {
        headers.insert(FORWARDED_HOST, asked);
    }
    if let Some(address) = &client.address {
        headers.insert(FORWARDED_FOR, address.clone());
    }
    headers.insert(FORWARDED_PROTO, HTTP);
}

/// Makes a service's answer the gateway's.
pub(crate) fn answer(headers: &mut HeaderMap, version: &mut Version) {
    strip_hop(headers);
    *version = Version::HTTP_11;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_is_for_this_hop_ends_here() {
        let mut headers = map(&[
            ("connection", "close, X-Private, host, content-length"),
            ("connection", "x-second"),
            ("x-private", "1"),
            ("x-second", "1"),
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "secret"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("http2-settings", "AAA"),
            ("host", "a"),
            ("content-length", "3"),
            ("etag", "e"),
        ]);
        strip_hop(&mut headers);
        assert_eq!(names(&headers), ["content-length", "etag", "host"]);
    }

    #[test]
    fn claims_of_the_client_are_replaced() {
        let mut headers = map(&[
            ("host", "lake.example"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-user", "root"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("origin", "http://lake.example"),
            ("x-lakehouse-caller", "somebody who may all"),
            ("te", "deflate;q=0.5, Trailers"),
        ]);
        let client = Client::new(([192, 0, 2, 1], 5).into());
        forward(&mut headers, &client, &HeaderValue::from_static("127.0.0.1:3211"), None);
        assert_eq!(names(&headers), ["host", "te", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
        assert_eq!(headers["te"], "trailers");
        assert_eq!(headers["host"], "127.0.0.1:3211");
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
        assert_eq!(headers["x-forwarded-host"], "lake.example");
    }
}
