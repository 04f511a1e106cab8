//! The binary as a person, a script or systemd uses it: real processes, real ports.

mod client;
mod failures;
mod platform;
mod shutdown;
mod up;
