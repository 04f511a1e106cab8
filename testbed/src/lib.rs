//! Foreign servers and clients for tests: what our own code on both ends would never notice. And a model to embed with.
//!
//! `setup/test-servers.sh` installs them into `.tools/test-servers`. They listen on ports of their
//! own choosing, keep nothing, and end with the value that started them.

#![warn(missing_docs)]

mod certificate;
mod installed;
mod process;
mod redis;
mod redis_cluster;
mod s3;

pub use installed::{clients, minilm};
pub use process::Process;
pub use redis::{Redis, RedisOptions};
pub use redis_cluster::RedisCluster;
pub use s3::S3Server;
