//! embedd over the wire.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arrow;
mod cache;
mod embed;
mod faults;
mod flights;
mod foreign;
mod local;
mod log;
mod openapi;
mod platform;
mod rpc;
mod shared;
mod upstream;
mod warm;
mod worker;
