//! `[catalogd]`.

use std::net::SocketAddr;
use std::time::Duration;

use kit::config::{ServiceConfig, loopback_url};
use kit::server::HttpConfig;
use serde::{Deserialize, Serialize};
use url::Url;

/// `[catalogd]`: every limit and wait of this service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// `[catalogd.http]`.
    pub http: HttpConfig,
    /// storaged: everything that lasts lies there.
    pub storaged_url: Url,
    /// One call to storaged.
    #[serde(with = "humantime_serde")]
    pub storage_timeout: Duration,
    /// How long a start may wait for storaged and the loading of every manifest.
    #[serde(with = "humantime_serde")]
    pub start_timeout: Duration,
    /// Between two looks for what other replicas wrote.
    #[serde(with = "humantime_serde")]
    pub refresh_every: Duration,
    /// Whether other catalogd work on the same bucket. Every read then asks the bucket whether
    /// there is something newer, so that a client reads its writes through any of them.
    pub shared: bool,
    /// Keys in one register or commit; more are 413.
    pub objects_per_request_max: usize,
    /// Objects of one version; more are 413.
    pub objects_per_dataset_max: usize,
    /// Of one Parquet object's footer; longer ones are 413.
    pub footer_bytes_max: u64,
    /// Of one manifest file; one that is longer counts as poison, one that would be is 413.
    pub manifest_bytes_max: u64,
    /// Columns of one dataset; more are 413.
    pub columns_max: usize,
    /// Calls to storaged at once, of one request, of the loading at start, and of a refresh.
    pub storage_calls_max: usize,
    /// Writes and copies in storaged at once; others wait. Fewer than storaged's
    /// `max_concurrent_internal_puts`, which ingestd needs too.
    pub storage_writes_max: usize,
    /// Manifests and footers that are decoded at once; others wait.
    pub decoders_max: usize,
    /// Writers of one name that wait for their turn, and for how long; 503 beyond it.
    pub writers_waiting_max: usize,
    /// From the first try of a write to its last; then 503.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Times a write is tried again after another replica was quicker; then 503.
    pub write_attempts_max: usize,
    /// Entries of a list answer where the caller names no limit.
    pub list_limit_default: usize,
    /// Entries of a list answer at most.
    pub list_limit_max: usize,
    /// Names in one Resolve; more are 400.
    pub resolve_names_max: usize,
    /// Of older versions, kept in memory once they were read.
    pub older_versions_cache_bytes: u64,
    /// Changes remembered for watchers that come back.
    pub watch_history_max: usize,
    /// Watchers at once; more are 503.
    pub watchers_max: usize,
    /// Versions of a dataset that are kept, the newest included.
    pub versions_kept: u64,
    /// Between two collections of what no kept version uses.
    #[serde(with = "humantime_serde")]
    pub gc_every: Duration,
    /// How long something is unused before it is collected: longer than any ingest or query takes.
    #[serde(with = "humantime_serde")]
    pub gc_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: ([127, 0, 0, 1], 3212).into(),
            http: HttpConfig::default(),
            storaged_url: loopback_url(3211),
            storage_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_secs(60),
            refresh_every: Duration::from_secs(5),
            shared: false,
            objects_per_request_max: 1_000,
            objects_per_dataset_max: 10_000,
            footer_bytes_max: 16 << 20,
            manifest_bytes_max: 64 << 20,
            columns_max: 2_000,
            storage_calls_max: 32,
            storage_writes_max: 8,
            decoders_max: 4,
            writers_waiting_max: 64,
            write_timeout: Duration::from_secs(30),
            write_attempts_max: 50,
            list_limit_default: 100,
            list_limit_max: 1_000,
            resolve_names_max: 1_000,
            older_versions_cache_bytes: 64 << 20,
            watch_history_max: 4_096,
            watchers_max: 256,
            versions_kept: 10,
            gc_every: Duration::from_secs(600),
            gc_grace: Duration::from_secs(24 * 3_600),
        }
    }
}

impl ServiceConfig for Config {
    const SECTION: &'static str = "catalogd";

    fn listen(&self) -> SocketAddr {
        self.listen
    }

    fn validate(&self) -> Result<(), String> {
        let counts = [
            ("objects_per_request_max", self.objects_per_request_max),
            ("objects_per_dataset_max", self.objects_per_dataset_max),
            ("columns_max", self.columns_max),
            ("storage_calls_max", self.storage_calls_max),
            ("storage_writes_max", self.storage_writes_max),
            ("decoders_max", self.decoders_max),
            ("writers_waiting_max", self.writers_waiting_max),
            ("write_attempts_max", self.write_attempts_max),
            ("list_limit_default", self.list_limit_default),
            ("list_limit_max", self.list_limit_max),
            ("resolve_names_max", self.resolve_names_max),
            ("watch_history_max", self.watch_history_max),
            ("watchers_max", self.watchers_max),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("{key} must not be 0"));
        }
        if self.versions_kept == 0 {
            return Err("versions_kept must not be 0: the newest version is the dataset".into());
        }
        if self.refresh_every.is_zero() || self.gc_every.is_zero() {
            return Err("refresh_every and gc_every must not be 0s".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_limit_of_nothing_is_not() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(Config::default().storaged_url.as_str(), "http://127.0.0.1:3211/");
        let senseless = Config { watchers_max: 0, ..Config::default() };
        assert_eq!(senseless.validate().unwrap_err(), "watchers_max must not be 0");
    }
}
