//! vectord over the wire, on a real storaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod aliases;
mod arrow;
mod bodies;
mod concurrency;
mod crash;
mod embedder;
mod filters;
mod follow;
mod follow_crash;
mod imports;
mod indexes;
mod items;
mod lake;
mod limits;
mod openapi;
mod platform;
mod process;
mod restart;
mod rpc;
mod scroll;
mod search;
mod smoke;
mod texts;
mod upstream;
mod worker;
