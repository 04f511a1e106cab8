//! catalogd over the wire, on a real storaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod collection;
mod concurrency;
mod platform;
mod poison;
mod prepare_commit;
mod register;
mod resolve;
mod rest;
mod restart;
mod watch;
mod worker;
