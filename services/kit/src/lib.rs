//! What every service of the platform needs, and nothing of any one.
//!
//! A service is a library with `serve(Config, TcpListener, CancellationToken)`. This crate gives
//! it the rest: [`config`] to read its section of `lakehouse.toml`, [`server`] to serve REST and
//! gRPC on one port with request ids, metrics, health and a bounded drain, [`Problem`] and
//! [`Code`] to say what went wrong the same way over both protocols, [`grpc`] to call its peers,
//! and [`entry`] to be a process of its own.
//!
//! Invariant: nothing here is global. Two platforms with different configs run in one process
//! (tests do); the one exception is the tracing subscriber, which a process sets once.
//! Invariant: this crate knows no service by its routes or types.

#![warn(missing_docs)]

mod caller;
mod code;
pub mod config;
pub mod context;
pub mod entry;
pub mod extract;
pub mod grpc;
mod health;
pub mod heap;
pub mod negotiate;
mod pool;
mod problem;
mod secret;
pub mod server;
pub mod signal;
pub mod telemetry;
pub mod testing;

pub use caller::{CALLER, Caller, Role};
pub use code::Code;
pub use health::{Health, Status};
pub use pool::{Pool, PoolError};
pub use problem::{Problem, ServiceError};
pub use secret::Secret;
