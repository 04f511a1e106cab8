//! catalogd over the wire, on a real storaged.

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
