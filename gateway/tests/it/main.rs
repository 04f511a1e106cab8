//! The gateway, for real, before services made for what a test needs of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has nothing better to do")]

mod bodies;
mod calls;
mod edge;
mod grpc;
mod http2;
mod pages;
mod panics;
mod service;
mod wire;
