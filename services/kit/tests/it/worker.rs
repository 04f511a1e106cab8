//! That a task which holds a worker is seen, as tests of every service go by it.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use kit::server::{HttpConfig, Service};
use kit::testing::{Held, TestServer};

use crate::service::send;

const LONG: Duration = Duration::from_millis(60);

/// After one request.
async fn held_by(path: &str) -> Held {
    let computes = || async {
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            std::hint::spin_loop();
        }
    };
    let router = Router::new()
        .route("/blocks", get(|| async { std::thread::sleep(LONG) }))
        .route("/computes", get(computes))
        .route("/waits", get(|| tokio::time::sleep(LONG)))
        .route(
            "/hands-over",
            get(|| async { tokio::task::spawn_blocking(|| std::thread::sleep(LONG)).await.unwrap() }),
        );
    let server = TestServer::watched(|listener, shutdown| {
        let service = Service {
            name: "test",
            router,
            openapi: utoipa::openapi::OpenApi::default(),
            health: kit::Health::new(),
            registry: prometheus_client::registry::Registry::default(),
            http: HttpConfig::default(),
        };
        kit::server::run(service, listener, shutdown)
    })
    .await;
    assert_eq!(send(server.address(), "GET", path, &[], "").await.status, 200, "{path}");
    let held = server.held();
    server.stop().await;
    held
}

#[tokio::test]
async fn a_task_that_holds_its_worker_is_seen_and_no_other() {
    let (most, some) = (LONG * 9 / 10, LONG / 2);
    let held = held_by("/blocks").await;
    assert!(held.longest >= most && held.waiting >= most, "{held:?}");
    let held = held_by("/computes").await;
    assert!(held.longest >= most && held.waiting < some, "{held:?}");
    for path in ["/waits", "/hands-over"] {
        held_by(path).await.assert_short();
    }
}
