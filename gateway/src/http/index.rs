//! `GET /`

use axum::http::HeaderMap;
use axum::http::header::HOST;

/// One screen for a person who opens the address in a browser or with curl.
pub(super) async fn page(headers: HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:3210");
    format!(
        "Lakehouse\n\n\
         \x20 http://{host}/health        what is well, service by service\n\
         \x20 http://{host}/openapi.json  every route, for tools\n\
         \x20 http://{host}/metrics       for Prometheus\n\n\
         A file in:\n\
         \x20 curl --data-binary @workers.csv http://{host}/v1/ingest/workers?format=csv\n\
         SQL at it:\n\
         \x20 curl -d '{{\"sql\": \"SELECT count(*) FROM workers\"}}' http://{host}/v1/sql\n\
         What there is:\n\
         \x20 curl http://{host}/v1/catalog/datasets\n"
    )
}
