//! Servers to compare with, each at its best: no access logs, and the settings its own
//! documentation gives for the work.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Method;
use tokio::process::Command;

use crate::env::Env;
use crate::http::{Body, fetch, full, request};
use crate::server::{Server, free_address};

const POLL_EVERY: Duration = Duration::from_millis(20);

/// A started peer.
pub(crate) struct Peer {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

/// ROAPI over Parquet files. It reads each into memory when it starts (its default, and three
/// times as fast in the small aggregate as reading the file for each query).
pub(crate) async fn roapi(env: &Env, tables: &[(&str, &str)]) -> Result<Peer> {
    let (address, postgres) = (free_address().await?, free_address().await?);
    let mut command = Command::new(env.peers.join("bin/roapi"));
    command.env("RUST_LOG", "warn").args(["--addr-http", &address.to_string()]);
    command.args(["--addr-postgres", &postgres.to_string()]);
    for (name, file) in tables {
        command.args(["--table", &format!("{name}={file},format=parquet")]);
    }
    let mut server = Server::start("roapi", &mut command, env.work())?;
    server.ready(address, "/health", POLL_EVERY).await?;
    Ok(Peer { server, address })
}

/// SQL for ROAPI; it answers a JSON array of objects.
pub(crate) fn roapi_request(sql: &str) -> Result<http::Request<Body>> {
    request(Method::POST, "/api/sql", &[], full(sql.to_owned()))
}

/// `rclone serve s3` over a folder, anonymous, with a bucket `bench`.
pub(crate) async fn rclone(env: &Env, folder: &Path) -> Result<Peer> {
    let address = free_address().await?;
    let mut command = Command::new(env.peers.join("bin/rclone"));
    command.args(["--config", "/dev/null", "serve", "s3", "--addr", &address.to_string()]).arg(folder);
    let mut server = Server::start("rclone", &mut command, env.work())?;
    server.ready(address, "/", POLL_EVERY).await?;
    fetch(address, request(Method::PUT, "/bench", &[], full(""))?).await.context("cannot make a bucket")?;
    Ok(Peer { server, address })
}

/// Chroma's server over an empty folder. Its command line is in its Rust library, which needs none of what
/// the Python package around it imports.
pub(crate) async fn chroma(env: &Env) -> Result<Peer> {
    const PROGRAM: &str = "import sys, chromadb_rust_bindings as chroma; chroma.cli(['chroma', *sys.argv[1:]])";
    let address = free_address().await?;
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", env.vector_peers()?).env("RUST_LOG", "error").args(["-c", PROGRAM, "run"]);
    command.arg("--path").arg(env.folder("chroma")?);
    command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
    let mut server = Server::start("chroma", command.current_dir(env.work()), env.work())?;
    server.ready(address, "/api/v2/heartbeat", POLL_EVERY).await?;
    Ok(Peer { server, address })
}

/// nginx as a reverse proxy that keeps its connections to `upstream`.
pub(crate) async fn nginx(env: &Env, upstream: SocketAddr) -> Result<Peer> {
    let address = free_address().await?;
    let folder = env.folder("nginx")?;
    let mut config = include_str!("../nginx.conf").replace("@LISTEN@", &address.to_string());
    config = config.replace("@UPSTREAM@", &upstream.to_string()).replace("@FOLDER@", &folder.to_string_lossy());
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = Command::new(env.peers.join("debian/usr/sbin/nginx"));
    command.arg("-p").arg(&folder).arg("-c").arg(&file).arg("-e").arg(folder.join("error.log"));
    let mut server = Server::start("nginx", &mut command, env.work())?;
    server.ready(address, "/health/liveness", POLL_EVERY).await?;
    Ok(Peer { server, address })
}
