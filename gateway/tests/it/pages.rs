//! The gateway's own pages.

use axum::Router;

use crate::service::{Platform, gateway, nobody};
use crate::wire::get;

#[tokio::test]
async fn health_names_who_is_not_well_and_why() {
    let url = nobody().await;
    let platform = Platform::with(|config| config.queryd_url = url.clone(), Router::new()).await;
    let address = platform.gateway.address();
    let answer = get(address, "/health").await;
    let report = answer.json();
    assert_eq!((answer.status, &report["status"]), (200, &"degraded".into()), "{report}");
    assert_eq!(report["components"]["storaged"]["status"], "ok");
    let queryd = &report["components"]["queryd"];
    assert_eq!((&queryd["status"], &queryd["detail"]), (&"failed".into(), &"queryd cannot be reached".into()));
    assert!(report["components"].get("semcached").is_none(), "not configured");
    assert_eq!(get(address, "/health/readiness").await.status, 200, "it serves the rest");
    assert_eq!(get(address, "/health/liveness").await.status, 200);

    let alone = gateway(&url, |_| {}).await;
    let answer = get(alone.address(), "/health").await;
    assert_eq!((answer.status, &answer.json()["status"]), (503, &"failed".into()));
}

#[tokio::test]
async fn document_is_valid_with_a_service_down() {
    let url = nobody().await;
    let platform = Platform::with(|config| config.catalogd_url = url, Router::new()).await;
    let document = get(platform.gateway.address(), "/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"].is_object() && document["info"]["version"].is_string());
}

#[tokio::test]
async fn metrics_are_by_route() {
    let platform = Platform::start().await;
    let address = platform.gateway.address();
    get(address, "/v1/storage/echo/one/of/many").await;
    let metrics = get(address, "/metrics").await.body;
    let line = "http_requests_total{method=\"GET\",route=\"/v1/storage\",status=\"200\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn front_page_says_where_things_are() {
    let platform = Platform::start().await;
    let address = platform.gateway.address();
    let page = get(address, "/").await;
    assert!(page.body.contains(&format!("http://{address}/v1/sql")), "{page:?}");
}
