//! ingestd over HTTP, against a real storaged and a real catalogd in this process.

#![allow(clippy::type_complexity, reason = "tables of cases read best in place")]
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod compression;
mod csv;
mod failure;
mod formats;
mod json;
mod limits;
mod modes;
mod platform;
mod worker;
