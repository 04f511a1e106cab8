//! What is checked, in this order.

mod catalog;
mod client;
mod clients;
mod crash;
mod embeddings;
mod gateway;
mod health;
mod hostile_sql;
mod ingest_failures;
mod ingest_formats;
mod limits;
mod meaning;
mod objects;
mod read_your_writes;
mod restart;
mod secrets;
mod sql;
mod sql_formats;
mod vectors;

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::context::Context;

/// One promise of the platform, tried from outside.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// Whether it ends the platform on its way.
    pub(crate) restarts: bool,
    pub(crate) run: fn(&mut Context) -> BoxFuture<'_, Result<()>>,
}

macro_rules! check {
    ($name:literal, $run:path) => {
        Check { name: $name, restarts: false, run: |context| $run(context).boxed() }
    };
    ($name:literal, $run:path, restarts) => {
        Check { name: $name, restarts: true, run: |context| $run(context).boxed() }
    };
}

/// Those that restart come last: by then there is something to be found again.
pub(crate) const CHECKS: [Check; 19] = [
    check!("health", health::run),
    check!("objects", objects::run),
    check!("catalog", catalog::run),
    check!("ingest_formats", ingest_formats::run),
    check!("ingest_failures", ingest_failures::run),
    check!("sql", sql::run),
    check!("sql_formats", sql_formats::run),
    check!("read_your_writes", read_your_writes::run),
    check!("vectors", vectors::run),
    check!("embeddings", embeddings::run),
    check!("clients", clients::run),
    check!("meaning", meaning::run),
    check!("limits", limits::run),
    check!("hostile_sql", hostile_sql::run),
    check!("gateway", gateway::run),
    check!("client", client::run),
    check!("secrets", secrets::run),
    check!("restart", restart::run, restarts),
    check!("kill_9", crash::run, restarts),
];
