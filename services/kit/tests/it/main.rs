//! kit's server, for real: what every service promises its clients and its operator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has nothing better to do")]

mod drain;
mod limits;
mod problems;
mod service;
mod worker;
