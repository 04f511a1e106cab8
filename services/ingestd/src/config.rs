//! `[ingestd]`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::config::{ServiceConfig, loopback_url};
use kit::server::HttpConfig;
use serde::{Deserialize, Serialize};
use url::Url;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// The section of this service. Sizes are in bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How it faces the network.
    pub http: HttpConfig,
    /// Where storaged is.
    pub storaged_url: Url,
    /// Where catalogd is.
    pub catalogd_url: Url,
    /// Where bodies wait to be read. Of this process alone: what an earlier one left is removed
    /// at start.
    pub spool_dir: PathBuf,
    /// One body as it comes over the wire; longer ones are 413.
    pub max_upload_bytes: u64,
    /// One body after decompression; longer ones are 413.
    pub max_expanded_bytes: u64,
    /// All waiting bodies together; beyond it 507.
    pub spool_bytes_max: u64,
    /// Ingests at once; beyond it 503 with `Retry-After`.
    pub concurrent_ingests_max: usize,
    /// From the end of the body to the answer; then 504.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// One call to catalogd, and one delete at storaged.
    #[serde(with = "humantime_serde")]
    pub peer_timeout: Duration,
    /// An object is closed at the first row group that makes it longer than this.
    pub object_bytes_target: u64,
    /// Rows of a row group.
    pub row_group_rows: usize,
    /// A row group is closed early once its rows take this much memory before encoding.
    pub row_group_bytes_max: u64,
    /// zstd's, 1 to 22.
    pub compression_level: i32,
    /// What DuckDB may use for one ingest, before it spills to `spool_dir`.
    pub duckdb_memory_bytes: u64,
    /// Threads that parse, for each ingest; 0 is one per core.
    pub parse_threads: usize,
    /// Threads that encode, for each ingest; 0 is one per core, at most 4.
    pub encode_threads: usize,
    /// Columns of a file; beyond it 400. catalogd has a limit of its own.
    pub columns_max: usize,
    /// One line of CSV or NDJSON, one object of a JSON array; longer ones are malformed.
    pub line_bytes_max: u64,
    /// Rows that `on_error=skip` may skip; beyond it 400.
    pub rejects_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: ([127, 0, 0, 1], 3213).into(),
            http: HttpConfig::default(),
            storaged_url: loopback_url(3211),
            catalogd_url: loopback_url(3212),
            spool_dir: "spool".into(),
            max_upload_bytes: 64 * GIB,
            max_expanded_bytes: 64 * GIB,
            spool_bytes_max: 128 * GIB,
            concurrent_ingests_max: 4,
            request_timeout: Duration::from_secs(3_600),
            peer_timeout: Duration::from_secs(30),
            object_bytes_target: 128 * MIB,
            row_group_rows: 122_880,
            row_group_bytes_max: 256 * MIB,
            compression_level: 1,
            duckdb_memory_bytes: 512 * MIB,
            parse_threads: 0,
            encode_threads: 0,
            columns_max: 2_000,
            line_bytes_max: 16 * MIB,
            rejects_max: 1_000_000,
        }
    }
}

impl Config {
    pub(crate) fn parse_threads(&self) -> usize {
        if self.parse_threads == 0 { cores() } else { self.parse_threads }
    }

    pub(crate) fn encode_threads(&self) -> usize {
        if self.encode_threads == 0 { cores().min(4) } else { self.encode_threads }
    }
}

impl ServiceConfig for Config {
    const SECTION: &'static str = "ingestd";

    fn listen(&self) -> SocketAddr {
        self.listen
    }

    fn validate(&self) -> Result<(), String> {
        let positive = [
            ("max_upload_bytes", self.max_upload_bytes),
            ("max_expanded_bytes", self.max_expanded_bytes),
            ("spool_bytes_max", self.spool_bytes_max),
            ("concurrent_ingests_max", self.concurrent_ingests_max as u64),
            ("object_bytes_target", self.object_bytes_target),
            ("row_group_rows", self.row_group_rows as u64),
            ("row_group_bytes_max", self.row_group_bytes_max),
            ("columns_max", self.columns_max as u64),
            ("line_bytes_max", self.line_bytes_max),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} must not be 0"));
        }
        if !(1..=22).contains(&self.compression_level) {
            return Err("compression_level must lie in 1 to 22".into());
        }
        if self.line_bytes_max > GIB {
            return Err("line_bytes_max must be at most 1 GiB".into());
        }
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_make_sense_and_nothing_else_passes() {
        assert_eq!(Config::default().validate(), Ok(()));
        let senseless = Config { compression_level: 23, ..Config::default() };
        assert!(senseless.validate().unwrap_err().contains("compression_level"));
        let senseless = Config { row_group_rows: 0, ..Config::default() };
        assert_eq!(senseless.validate().unwrap_err(), "row_group_rows must not be 0");
    }
}
