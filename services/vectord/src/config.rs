//! `[vectord]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::config::{ServiceConfig, loopback_url};
use kit::server::HttpConfig;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::settings::EngineKind;

/// `[vectord]`: every limit and wait of this service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// `[vectord.http]`. Batches of items have a limit of their own: `batch_bytes_max`.
    pub http: HttpConfig,
    /// Where logs and snapshots lie. One vectord at a time uses it.
    pub data_dir: PathBuf,
    /// Whether a write is on the disk before it is acknowledged. Without it a power failure may lose
    /// what was acknowledged; a crash of the process does not.
    pub fsync: bool,
    /// storaged: snapshots are copied there, and indexes that are not in `data_dir` restored from there.
    pub storaged_url: Url,
    /// Whether snapshots are copied to storaged.
    pub storage_snapshots: bool,
    /// One snapshot's way to or from storaged.
    #[serde(with = "humantime_serde")]
    pub storage_timeout: Duration,
    /// queryd: datasets are imported through it.
    pub queryd_url: Url,
    /// catalogd: it knows the datasets that are imported and followed.
    pub catalogd_url: Url,
    /// embedd: it makes vectors of texts.
    pub embedd_url: Url,
    /// From the arrival of an add to the vectors of its texts, and of a create to what there is to know of its
    /// model and dataset; then 504.
    #[serde(with = "humantime_serde")]
    pub embed_timeout: Duration,
    /// One answer of catalogd.
    #[serde(with = "humantime_serde")]
    pub catalog_timeout: Duration,
    /// Bytes of one message from catalogd.
    pub peer_message_bytes_max: usize,
    /// Of new indexes where the caller names none: `lake` or `hnsw_rs`.
    pub engine: EngineKind,
    /// Indexes at most; more are 413.
    pub indexes_max: usize,
    /// Aliases at most; more are 413.
    pub aliases_max: usize,
    /// Components of a vector at most.
    pub dimension_max: usize,
    /// Items in one add, ids in one delete; more are 413.
    pub items_per_batch_max: usize,
    /// One body of an add; more is 413.
    pub batch_bytes_max: usize,
    /// One item's metadata as JSON; more is 400.
    pub metadata_bytes_max: usize,
    /// One text to be embedded, and what an index's `source` makes texts of; more is 400.
    pub text_bytes_max: usize,
    /// Results of one search, per vector; more are 400.
    pub k_max: usize,
    /// Candidates kept on the way of a search or a build; more are 400.
    pub ef_max: usize,
    /// Vectors, ids and texts in one search; more are 413.
    pub vectors_per_search_max: usize,
    /// Memory of all indexes together; adds beyond it are 507. 0: three quarters of the machine's.
    pub max_memory_bytes: usize,
    /// Items of one index that are found by comparing with each, as the graph does not have them yet;
    /// adds beyond it are 503.
    pub unindexed_items_max: usize,
    /// Searches that run at once; others wait. 0: one per core.
    pub search_threads: usize,
    /// Searches that wait; more are 503.
    pub searches_waiting_max: usize,
    /// From the arrival of a search, scroll or count to its answer; then 504.
    #[serde(with = "humantime_serde")]
    pub search_timeout: Duration,
    /// Threads that vectors are linked with, of one index. 0: one per core.
    pub index_threads: usize,
    /// Logs, loads, snapshots and linkings at once, of all indexes; others wait. 0: two per core.
    pub maintenance_threads: usize,
    /// Writes of one index that wait; more are 503.
    pub writes_waiting_max: usize,
    /// Bodies of adds that are read and checked at once, of all indexes; more are 503.
    pub batches_at_once_max: usize,
    /// A log file's size before the next one begins.
    pub log_segment_bytes: u64,
    /// Bytes of log after which a snapshot is taken.
    pub snapshot_after_bytes: u64,
    /// Snapshots kept, here and in storaged. Two: where one is damaged, the one before it serves.
    pub snapshots_kept: usize,
    /// Paths of metadata that are indexed for filters, per index; the longest unused go first.
    pub filter_paths_max: usize,
    /// Memory of one index's indexed paths; filters on paths beyond it look at every item. As much again while a
    /// path is being indexed.
    pub filter_index_bytes_max: usize,
    /// Entries of a list or scroll where the caller names no limit.
    pub list_limit_default: usize,
    /// Entries of a list or scroll at most.
    pub list_limit_max: usize,
    /// Imports that run at once; others wait.
    pub imports_at_once_max: usize,
    /// Imports remembered, running and ended, after a restart too; the oldest ended go first, and more running
    /// are 503.
    pub imports_max: usize,
    /// Items written at once by an import.
    pub import_batch_items: usize,
    /// One import's query: at most `queryd.timeout_max`. Also, how long one that goes on after a restart waits for
    /// its peers.
    #[serde(with = "humantime_serde")]
    pub import_timeout: Duration,
    /// Indexes that bring in a version of their dataset at once; others wait.
    pub follows_at_once_max: usize,
    /// Rows that become vectors, and a record of the log, at once. Two such batches are with embedd at a time.
    pub follow_batch_rows: usize,
    /// Bytes of text after which a batch has enough rows.
    pub follow_batch_bytes: usize,
    /// Rows of one query to queryd, all of which are held until they are brought in.
    pub follow_page_rows: usize,
    /// Bytes of rows after which the rest of a page is left to the next query.
    pub follow_page_bytes: usize,
    /// One query to queryd, at most `queryd.timeout_max`.
    #[serde(with = "humantime_serde")]
    pub follow_timeout: Duration,
    /// The longest pause before what did not go is tried again. The first one is 500 ms.
    #[serde(with = "humantime_serde")]
    pub follow_retry_max: Duration,
    /// How often catalogd is asked for all versions where its Watch says nothing.
    #[serde(with = "humantime_serde")]
    pub follow_refresh_every: Duration,
    /// Items that are left to be found by comparing while a version is brought in, so that embedd has the
    /// cores; less than `unindexed_items_max`.
    pub follow_unlinked_items_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: ([127, 0, 0, 1], 3215).into(),
            http: HttpConfig::default(),
            data_dir: "data/vectors".into(),
            fsync: true,
            storaged_url: loopback_url(3211),
            storage_snapshots: true,
            storage_timeout: Duration::from_secs(600),
            queryd_url: loopback_url(3214),
            catalogd_url: loopback_url(3212),
            embedd_url: loopback_url(3216),
            embed_timeout: Duration::from_secs(60),
            catalog_timeout: Duration::from_secs(30),
            peer_message_bytes_max: 64 << 20,
            engine: EngineKind::default(),
            indexes_max: 1_000,
            aliases_max: 1_000,
            dimension_max: 8_192,
            items_per_batch_max: 10_000,
            batch_bytes_max: 64 << 20,
            metadata_bytes_max: 64 << 10,
            text_bytes_max: 1 << 20,
            k_max: 10_000,
            ef_max: 10_000,
            vectors_per_search_max: 100,
            max_memory_bytes: 0,
            unindexed_items_max: 200_000,
            search_threads: 0,
            searches_waiting_max: 1_024,
            search_timeout: Duration::from_secs(30),
            index_threads: 0,
            maintenance_threads: 0,
            writes_waiting_max: 64,
            batches_at_once_max: 16,
            log_segment_bytes: 64 << 20,
            snapshot_after_bytes: 256 << 20,
            snapshots_kept: 2,
            filter_paths_max: 64,
            filter_index_bytes_max: 256 << 20,
            list_limit_default: 100,
            list_limit_max: 1_000,
            imports_at_once_max: 2,
            imports_max: 100,
            import_batch_items: 1_000,
            import_timeout: Duration::from_secs(600),
            follows_at_once_max: 2,
            follow_batch_rows: 512,
            follow_batch_bytes: 8 << 20,
            follow_page_rows: 20_000,
            follow_page_bytes: 64 << 20,
            follow_timeout: Duration::from_secs(600),
            follow_retry_max: Duration::from_secs(60),
            follow_refresh_every: Duration::from_secs(30),
            follow_unlinked_items_max: 20_000,
        }
    }
}

impl Config {
    /// Threads of one kind where none are named.
    pub(crate) fn threads(configured: usize, per_core: usize) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if configured == 0 { cores * per_core } else { configured }
    }

    /// [`Config::max_memory_bytes`], or three quarters of what the machine has.
    pub(crate) fn memory_bytes_max(&self) -> usize {
        if self.max_memory_bytes > 0 {
            return self.max_memory_bytes;
        }
        let machine = rustix::system::sysinfo();
        let bytes = (machine.totalram as usize).saturating_mul(machine.mem_unit as usize);
        bytes / 4 * 3
    }
}

impl ServiceConfig for Config {
    const SECTION: &'static str = "vectord";

    fn listen(&self) -> SocketAddr {
        self.listen
    }

    fn validate(&self) -> Result<(), String> {
        let counts = [
            ("indexes_max", self.indexes_max),
            ("dimension_max", self.dimension_max),
            ("items_per_batch_max", self.items_per_batch_max),
            ("batch_bytes_max", self.batch_bytes_max),
            ("text_bytes_max", self.text_bytes_max),
            ("k_max", self.k_max),
            ("ef_max", self.ef_max),
            ("vectors_per_search_max", self.vectors_per_search_max),
            ("unindexed_items_max", self.unindexed_items_max),
            ("searches_waiting_max", self.searches_waiting_max),
            ("writes_waiting_max", self.writes_waiting_max),
            ("batches_at_once_max", self.batches_at_once_max),
            ("snapshots_kept", self.snapshots_kept),
            ("list_limit_default", self.list_limit_default),
            ("list_limit_max", self.list_limit_max),
            ("imports_at_once_max", self.imports_at_once_max),
            ("imports_max", self.imports_max),
            ("import_batch_items", self.import_batch_items),
            ("follows_at_once_max", self.follows_at_once_max),
            ("follow_batch_rows", self.follow_batch_rows),
            ("follow_batch_bytes", self.follow_batch_bytes),
            ("follow_page_rows", self.follow_page_rows),
            ("follow_page_bytes", self.follow_page_bytes),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("{key} must not be 0"));
        }
        if self.import_batch_items > self.items_per_batch_max {
            return Err("import_batch_items must not exceed items_per_batch_max".into());
        }
        if self.follow_batch_rows > self.items_per_batch_max {
            return Err("follow_batch_rows must not exceed items_per_batch_max".into());
        }
        if self.follow_unlinked_items_max + self.follow_batch_rows > self.unindexed_items_max {
            return Err("follow_unlinked_items_max and follow_batch_rows must not exceed unindexed_items_max: \
                        nothing would be linked, and no batch taken"
                .into());
        }
        if self.follow_retry_max.is_zero() || self.follow_refresh_every.is_zero() {
            return Err("follow_retry_max and follow_refresh_every must not be 0s".into());
        }
        if self.items_per_batch_max > self.unindexed_items_max {
            return Err(
                "items_per_batch_max must not exceed unindexed_items_max: such a batch would never be taken".into()
            );
        }
        if self.log_segment_bytes < 1 << 20 || self.snapshot_after_bytes < 1 << 20 {
            return Err("log_segment_bytes and snapshot_after_bytes must be 1048576 at least".into());
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
        let senseless = Config { k_max: 0, ..Config::default() };
        assert_eq!(senseless.validate().unwrap_err(), "k_max must not be 0");
        let crowded = Config { import_batch_items: 20_000, ..Config::default() };
        assert!(crowded.validate().unwrap_err().contains("import_batch_items"));
        let wide = Config { follow_batch_rows: 20_000, ..Config::default() };
        assert!(wide.validate().unwrap_err().contains("follow_batch_rows"));
        let stuck = Config { follow_unlinked_items_max: 200_001, ..Config::default() };
        assert!(stuck.validate().unwrap_err().contains("follow_unlinked_items_max"));
        let never = Config { unindexed_items_max: 9_999, follow_unlinked_items_max: 0, ..Config::default() };
        assert!(never.validate().unwrap_err().contains("unindexed_items_max"));
    }

    #[test]
    fn without_a_limit_a_quarter_of_the_machine_stays_free() {
        let bytes = Config::default().memory_bytes_max();
        assert!((64 << 20..1 << 45).contains(&bytes), "{bytes}");
        assert_eq!(Config { max_memory_bytes: 7, ..Config::default() }.memory_bytes_max(), 7);
    }
}
