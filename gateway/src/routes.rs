//! Which service answers what: the table, and which paths are none.

use std::borrow::Cow;

/// A service behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Storaged,
    Catalogd,
    Ingestd,
    Queryd,
    Vectord,
    Embedd,
    Semcached,
    Contextd,
}

impl Service {
    pub(crate) const ALL: [Service; 8] = [
        Service::Storaged,
        Service::Catalogd,
        Service::Ingestd,
        Service::Queryd,
        Service::Vectord,
        Service::Embedd,
        Service::Semcached,
        Service::Contextd,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Storaged => "storaged",
            Service::Catalogd => "catalogd",
            Service::Ingestd => "ingestd",
            Service::Queryd => "queryd",
            Service::Vectord => "vectord",
            Service::Embedd => "embedd",
            Service::Semcached => "semcached",
            Service::Contextd => "contextd",
        }
    }
}

/// How long a body of this route may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLimit {
    /// The service decides.
    Service,
    /// `message_bytes_max`.
    Message,
}

/// One row of the table: a prefix that ends where a segment ends.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) prefix: &'static str,
    pub(crate) service: Service,
    pub(crate) limit: BodyLimit,
}

const fn row(prefix: &'static str, service: Service, limit: BodyLimit) -> Row {
    Row { prefix, service, limit }
}

/// REST. First match wins.
pub(crate) const ROWS: [Row; 13] = [
    row("/v1/sql", Service::Queryd, BodyLimit::Message),
    row("/v1/storage", Service::Storaged, BodyLimit::Service),
    row("/v1/catalog", Service::Catalogd, BodyLimit::Message),
    row("/v1/ingest", Service::Ingestd, BodyLimit::Service),
    row("/sql", Service::Queryd, BodyLimit::Message),
    row("/v1/vectors", Service::Vectord, BodyLimit::Service),
    row("/v1/embed", Service::Embedd, BodyLimit::Service),
    row("/v1/embeddings", Service::Embedd, BodyLimit::Service),
    row("/v1/models", Service::Embedd, BodyLimit::Service),
    row("/api/embed", Service::Embedd, BodyLimit::Service),
    row("/v1/cache", Service::Semcached, BodyLimit::Message),
    row("/v1/chat/completions", Service::Semcached, BodyLimit::Message),
    row("/v1/contexts", Service::Contextd, BodyLimit::Message),
];

/// Public gRPC: everything else of that kind, `lakehouse.internal` above all, is not forwarded.
pub(crate) const GRPC: [(&str, Service); 5] = [
    ("lakehouse.v1.Storage", Service::Storaged),
    ("lakehouse.v1.Catalog", Service::Catalogd),
    ("lakehouse.v1.Query", Service::Queryd),
    ("lakehouse.v1.Vectors", Service::Vectord),
    ("lakehouse.v1.Embeddings", Service::Embedd),
];

/// The index of the row of [`ROWS`] that a raw path belongs to.
pub(crate) fn find(path: &str) -> Option<usize> {
    ROWS.iter()
        .position(|row| path.strip_prefix(row.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// The index in [`GRPC`] of `/package.Service/Method`, written in exactly that way.
pub(crate) fn find_grpc(path: &str) -> Option<usize> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let is_name = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_name { GRPC.iter().position(|(name, _)| *name == service) } else { None }
}

/// Why a raw path is not passed on: no two readers of it must be able to differ on what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathFault {
    DotSegment,
    Escape,
}

/// Refuses dot segments, plain, encoded, or between encoded slashes or backslashes, and escapes
/// that are none. Decodes once, as services do: `%252e` is the text `%2e` to them too.
pub(crate) fn check_path(path: &str) -> Result<(), PathFault> {
    let decoded: Cow<'_, [u8]> =
        if path.contains('%') { decode(path).ok_or(PathFault::Escape)?.into() } else { path.as_bytes().into() };
    let mut segments = decoded.split(|b| *b == b'/' || *b == b'\\');
    if segments.any(|segment| segment == b"." || segment == b"..") { Err(PathFault::DotSegment) } else { Ok(()) }
}

fn decode(path: &str) -> Option<Vec<u8>> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        let service = |path| find(path).map(|row| ROWS[row].service);
        assert_eq!(service("/v1/storage"), Some(Service::Storaged));
        assert_eq!(service("/v1/storage/a/b"), Some(Service::Storaged));
        assert_eq!(service("/v1/sql/explain"), Some(Service::Queryd));
        assert_eq!(service("/sql"), Some(Service::Queryd));
        assert_eq!(service("/v1/embeddings"), Some(Service::Embedd));
        for none in
            ["/v1/storages", "/v1", "/v1//storage", "//v1/storage", "/V1/storage", "/v1/%73torage", "/sqlx", "*"]
        {
            assert_eq!(service(none), None, "{none}");
        }
    }

    #[test]
    fn only_public_grpc_written_plainly_is_found() {
        assert_eq!(find_grpc("/lakehouse.v1.Storage/Put").map(|i| GRPC[i].1), Some(Service::Storaged));
        for none in [
            "/lakehouse.internal.v1.Storage/Locate",
            "//lakehouse.v1.Storage/Put",
            "/lakehouse.v1.Storage/../lakehouse.internal.v1.Storage/Locate",
            "/lakehouse.v1.Storage/%2e%2e/x",
            "/lakehouse.v1.Storage%2fPut",
            "/lakehouse.v1.Storage/",
            "/lakehouse.v1.Storage",
            "/lakehouse.v1.Storage/Put/",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(find_grpc(none), None, "{none}");
        }
    }

    #[test]
    fn dot_segments_are_seen_through_encodings() {
        for bad in ["/a/../b", "/a/.", "/%2e%2E/b", "/a/.%2e", "/a%2f..%2fb", "/a/..%5cb", "/a/%2e"] {
            assert_eq!(check_path(bad), Err(PathFault::DotSegment), "{bad}");
        }
        for bad in ["/a%", "/a%2", "/a%zz", "/%+1"] {
            assert_eq!(check_path(bad), Err(PathFault::Escape), "{bad}");
        }
        for good in ["/", "/a/...", "/a/.b", "/a..b/c", "/a%20b", "/%252e%252e/b", "/%e2%82%ac"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
    }

    proptest! {
        /// However its bytes are written, a path with a dot segment is refused.
        #[test]
        fn no_spelling_of_a_dot_segment_passes(
            before in "[a-z]{0,4}",
            after in "[a-z]{0,4}",
            dots in 1usize..3,
            encoded in prop::collection::vec(any::<bool>(), 4),
        ) {
            let spell = |c: char, encoded: bool| if encoded { format!("%{:02x}", c as u32) } else { c.to_string() };
            let mut path = format!("/{before}{}", spell('/', encoded[0]));
            (0..dots).for_each(|i| path.push_str(&spell('.', encoded[1 + i])));
            path.push_str(&format!("{}{after}", spell('/', encoded[3])));
            prop_assert_eq!(check_path(&path), Err(PathFault::DotSegment));
        }

        #[test]
        fn no_path_makes_it_panic(path in ".{0,40}") {
            let _verdict = check_path(&path);
        }
    }
}
