//! The binary as a person, a script or systemd uses it: real processes, real ports.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod client;
mod failures;
mod full_disk;
mod meaning;
mod platform;
mod shutdown;
mod terminal;
mod tidy;
mod up;
mod warm;
