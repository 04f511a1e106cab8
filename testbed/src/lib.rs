//! Foreign servers for tests: what our own code on both ends would never notice.
//!
//! `setup/test-servers.sh` installs them into `.tools/test-servers`. They listen on ports of their
//! own choosing, keep nothing, and end with the value that started them.

#![warn(missing_docs)]

mod process;
mod s3;

pub use s3::S3Server;
