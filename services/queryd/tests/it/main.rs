//! Against a real queryd over real storaged and catalogd, in this process.

#![allow(clippy::unwrap_used)]

mod callers;
mod catalog;
mod following;
mod formats;
mod grants;
mod hostile;
mod limits;
mod meaning;
mod openapi;
mod platform;
mod poison;
mod reading;
mod rpc;
mod s3;
mod s3_keys;
mod worker;
