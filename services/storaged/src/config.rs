//! `[storaged]`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::Secret;
use kit::config::ServiceConfig;
use kit::server::HttpConfig;
use serde::{Deserialize, Serialize};
use url::Url;

/// S3 numbers the parts of an upload from 1 to this.
const S3_PARTS_MAX: u64 = 10_000;
/// Every part but the last has at least so many bytes.
const S3_PART_BYTES_MIN: u64 = 5 << 20;

/// What keeps the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A directory on this machine.
    #[default]
    Local,
    /// S3, MinIO or another of its kind.
    S3,
}

/// `[storaged]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// `[storaged.http]`
    pub http: HttpConfig,
    /// `local` or `s3`.
    pub backend: Backend,
    /// The directory of the local backend. One storaged at a time uses it.
    pub data_dir: PathBuf,
    /// Whether a local write is on the disk before it is acknowledged. Without it a power failure
    /// may lose what was acknowledged; a crash of the process does not.
    pub fsync: bool,
    /// File operations of the local backend at once; more wait.
    pub file_operations_max: usize,
    /// The longest object that an outside caller may write (413 beyond).
    pub max_object_bytes: u64,
    /// Uploads of outside callers at once (503 beyond).
    pub max_concurrent_puts: usize,
    /// The longest object that a service may write (413 beyond).
    pub max_internal_object_bytes: u64,
    /// Uploads of services at once (503 beyond).
    pub max_concurrent_internal_puts: usize,
    /// Entries in a page of a listing, at most and where no limit is given.
    pub max_list_entries: usize,
    /// How often the backend is asked whether it is well.
    #[serde(with = "humantime_serde")]
    pub health_every: Duration,
    /// `[storaged.s3]`
    pub s3: S3Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: ([127, 0, 0, 1], 3211).into(),
            http: HttpConfig::default(),
            backend: Backend::Local,
            data_dir: "data".into(),
            fsync: true,
            file_operations_max: 64,
            max_object_bytes: 256 << 20,
            max_concurrent_puts: 4,
            max_internal_object_bytes: 16 << 30,
            max_concurrent_internal_puts: 16,
            max_list_entries: 1_000,
            health_every: Duration::from_secs(10),
            s3: S3Config::default(),
        }
    }
}

/// `[storaged.s3]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// Of MinIO and others: `http://127.0.0.1:9000`. Without it, AWS's own for the region.
    pub endpoint: Option<Url>,
    /// The bucket.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// Whether the bucket stands in the path and not in the host name.
    pub path_style: bool,
    /// Key id. Without one, the environment, the profile and the instance's role are asked.
    pub access_key_id: String,
    /// Secret of the key id.
    pub secret_access_key: Secret,
    /// Of temporary keys.
    pub session_token: Secret,
    /// Whether to create the bucket at start where it is missing.
    pub create_bucket: bool,
    /// Longer objects are sent in parts of this size.
    pub part_bytes: u64,
    /// Parts in memory at once, over all uploads; more wait.
    pub parts_in_memory_max: usize,
    /// To connect.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// To one attempt at one call, the sending of a part included.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// Attempts at one call.
    pub attempts_max: u32,
    /// How long the start waits for S3 to answer.
    #[serde(with = "humantime_serde")]
    pub start_timeout: Duration,
}

impl Default for S3Config {
    fn default() -> Self {
        S3Config {
            endpoint: None,
            bucket: "lakehouse".into(),
            region: "us-east-1".into(),
            path_style: true,
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            session_token: Secret::default(),
            create_bucket: true,
            part_bytes: 8 << 20,
            parts_in_memory_max: 8,
            connect_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(60),
            attempts_max: 3,
            start_timeout: Duration::from_secs(30),
        }
    }
}

impl ServiceConfig for Config {
    const SECTION: &'static str = "storaged";

    fn listen(&self) -> SocketAddr {
        self.listen
    }

    fn validate(&self) -> Result<(), String> {
        let positive = [
            ("file_operations_max", self.file_operations_max),
            ("max_concurrent_puts", self.max_concurrent_puts),
            ("max_concurrent_internal_puts", self.max_concurrent_internal_puts),
            ("max_list_entries", self.max_list_entries),
            ("s3.parts_in_memory_max", self.s3.parts_in_memory_max),
            ("s3.attempts_max", self.s3.attempts_max as usize),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} must be at least 1"));
        }
        if self.health_every.is_zero() {
            return Err("health_every must not be 0".into());
        }
        if self.backend == Backend::S3 && self.s3.parts_in_memory_max <= self.max_concurrent_puts {
            // Each upload of a slow client holds the part that it fills.
            return Err("s3.parts_in_memory_max must be more than max_concurrent_puts".into());
        }
        if self.backend == Backend::S3 { self.s3.validate(self.max_internal_object_bytes) } else { Ok(()) }
    }
}

impl S3Config {
    fn validate(&self, object_bytes_max: u64) -> Result<(), String> {
        if self.bucket.is_empty() {
            return Err("s3.bucket must be given".into());
        }
        if self.access_key_id.is_empty() != self.secret_access_key.is_empty() {
            return Err("s3.access_key_id and s3.secret_access_key go together".into());
        }
        if self.part_bytes < S3_PART_BYTES_MIN {
            return Err(format!("s3.part_bytes must be at least {S3_PART_BYTES_MIN}"));
        }
        if self.part_bytes.saturating_mul(S3_PARTS_MAX) < object_bytes_max {
            return Err(format!("max_internal_object_bytes needs more than {S3_PARTS_MAX} parts of s3.part_bytes"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        assert_eq!(Config::default().validate(), Ok(()));
        let refused = |change: fn(&mut Config)| {
            let mut config = Config { backend: Backend::S3, ..Config::default() };
            change(&mut config);
            config.validate().unwrap_err()
        };
        assert!(refused(|c| c.max_concurrent_puts = 0).starts_with("max_concurrent_puts"));
        assert!(refused(|c| c.s3.part_bytes = 1).starts_with("s3.part_bytes"));
        assert!(refused(|c| c.s3.access_key_id = "id".into()).contains("go together"));
        assert!(refused(|c| c.max_internal_object_bytes = u64::MAX).contains("parts"));
    }
}
