//! Against a real queryd over real storaged and catalogd, in this process.

#![allow(clippy::unwrap_used)]

mod catalog;
mod formats;
mod hostile;
mod limits;
mod platform;
mod reading;
mod rpc;
