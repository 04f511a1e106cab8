//! The smallest service: what `kit` itself costs, and something for the gateway's hop to be
//! measured against. `cargo run --release -p kit --example tiny -- --set storaged.listen=127.0.0.1:3211`

use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use kit::config::ServiceConfig;
use kit::server::{HttpConfig, Service};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    listen: SocketAddr,
    http: HttpConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config { listen: ([127, 0, 0, 1], 3211).into(), http: HttpConfig::default() }
    }
}

impl ServiceConfig for Config {
    const SECTION: &'static str = "storaged";

    fn listen(&self) -> SocketAddr {
        self.listen
    }
}

fn main() -> ExitCode {
    kit::entry::run::<Config, _, _>(|config, listener, shutdown| {
        let service = Service {
            name: "tiny",
            router: Router::new().route("/v1/storage", get(|| async { "{}" })),
            openapi: utoipa::openapi::OpenApi::default(),
            health: kit::Health::new(),
            registry: prometheus_client::registry::Registry::default(),
            http: config.http,
        };
        kit::server::run(service, listener, shutdown)
    })
}
