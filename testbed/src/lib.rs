//! Foreign servers and clients for tests: what our own code on both ends would never notice. A model to embed with, and
//! a way to a service that can be cut.
//!
//! `setup/test-servers.sh` installs them into `.tools/test-servers`. They listen on ports of their
//! own choosing, keep nothing, and end with the value that started them.

#![warn(missing_docs)]

mod certificate;
mod installed;
mod process;
mod redis;
mod redis_cluster;
mod relay;
mod s3;

pub use installed::{clients, minilm};
pub use process::Process;
pub use redis::{Redis, RedisOptions};
pub use redis_cluster::RedisCluster;
pub use relay::Relay;
pub use s3::S3Server;
