//! `[queryd]`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::Secret;
use kit::config::{ServiceConfig, loopback_url};
use kit::server::HttpConfig;
use serde::{Deserialize, Serialize};
use url::Url;

/// `[queryd]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// `[queryd.http]`
    pub http: HttpConfig,
    /// Where storaged is.
    pub storaged_url: Url,
    /// Where catalogd is.
    pub catalogd_url: Url,
    /// Where vectord is, for `vector_search`.
    pub vectord_url: Url,
    /// Where embedd is, for `embed`.
    pub embedd_url: Url,
    /// How often everything is asked of catalogd where its Watch says nothing.
    #[serde(with = "humantime_serde")]
    pub refresh_every: Duration,
    /// How long catalogd may take to say what stands.
    #[serde(with = "humantime_serde")]
    pub resolve_timeout: Duration,
    /// Where what does not fit into memory goes while a statement runs.
    pub temp_dir: PathBuf,
    /// Bytes there at most.
    pub temp_bytes_max: u64,
    /// Bytes of memory for all statements together; 0: half of the machine's.
    pub memory_limit_bytes: u64,
    /// Threads that compute, for all statements together; 0: one for each core.
    pub threads: usize,
    /// Statements that run at once; 0: eight for each core. When there are many, each keeps to a core
    /// of its own instead of being cut up for all of them, which costs less.
    pub concurrent_queries_max: usize,
    /// Statements that wait for a place; more are 503.
    pub queue_max: usize,
    /// How long a statement waits for a place before it is 503.
    #[serde(with = "humantime_serde")]
    pub queue_timeout: Duration,
    /// For a statement that asks for none.
    #[serde(with = "humantime_serde")]
    pub timeout_default: Duration,
    /// The longest that a statement may ask for.
    #[serde(with = "humantime_serde")]
    pub timeout_max: Duration,
    /// Datasets of one page of the schema, which is also the default.
    pub list_limit_max: usize,
    /// Bytes of statements whose verdict is remembered.
    pub gate_cache_bytes: u64,
    /// Bytes of one piece of an answer on its way to the client.
    pub piece_bytes: usize,
    /// Pieces of an answer that wait for a slow client; then the statement waits.
    pub pieces_max: usize,
    /// Different `vector_search` calls in one statement; more are 400.
    pub searches_max: usize,
    /// Texts of one call to embedd by `embed`: at most embedd's `texts_max`.
    pub embed_batch_texts: usize,
    /// Bytes of one message from a peer.
    pub peer_message_bytes_max: usize,
    /// DuckDB's httpfs, for datasets on S3; left out: beside libduckdb or beside the binary.
    pub httpfs_path: Option<PathBuf>,
    /// `[queryd.s3]`
    pub s3: S3Config,
}

/// `[queryd.s3]`: how DuckDB reads datasets on S3. The same server as storaged's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// `http://host:port`; left out: AWS.
    pub endpoint: Option<Url>,
    /// Its region.
    pub region: String,
    /// The key's id.
    pub access_key_id: Secret,
    /// The key.
    pub secret_access_key: Secret,
    /// Of temporary credentials.
    pub session_token: Secret,
    /// `http://endpoint/bucket/key` rather than `http://bucket.endpoint/key`.
    pub path_style: bool,
}

impl Default for S3Config {
    fn default() -> Self {
        S3Config {
            endpoint: None,
            region: "us-east-1".into(),
            access_key_id: Secret::default(),
            secret_access_key: Secret::default(),
            session_token: Secret::default(),
            path_style: true,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: ([127, 0, 0, 1], 3214).into(),
            http: HttpConfig::default(),
            storaged_url: loopback_url(3211),
            catalogd_url: loopback_url(3212),
            vectord_url: loopback_url(3215),
            embedd_url: loopback_url(3216),
            refresh_every: Duration::from_secs(30),
            resolve_timeout: Duration::from_secs(10),
            temp_dir: PathBuf::from("data/queryd/tmp"),
            temp_bytes_max: 64 << 30,
            memory_limit_bytes: 0,
            threads: 0,
            concurrent_queries_max: 0,
            queue_max: 256,
            queue_timeout: Duration::from_secs(10),
            timeout_default: Duration::from_secs(30),
            timeout_max: Duration::from_secs(600),
            list_limit_max: 1_000,
            gate_cache_bytes: 64 << 20,
            piece_bytes: 256 << 10,
            pieces_max: 4,
            searches_max: 16,
            embed_batch_texts: 256,
            peer_message_bytes_max: 64 << 20,
            httpfs_path: None,
            s3: S3Config::default(),
        }
    }
}

impl ServiceConfig for Config {
    const SECTION: &'static str = "queryd";

    fn listen(&self) -> SocketAddr {
        self.listen
    }

    fn validate(&self) -> Result<(), String> {
        let positive = [
            ("list_limit_max", self.list_limit_max),
            ("pieces_max", self.pieces_max),
            ("piece_bytes", self.piece_bytes),
            ("embed_batch_texts", self.embed_batch_texts),
            ("peer_message_bytes_max", self.peer_message_bytes_max),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} must not be 0"));
        }
        if self.timeout_default > self.timeout_max {
            return Err("timeout_default must not be longer than timeout_max".into());
        }
        if self.refresh_every.is_zero() || self.resolve_timeout.is_zero() || self.timeout_default.is_zero() {
            return Err("refresh_every, resolve_timeout and timeout_default must not be 0".into());
        }
        Ok(())
    }
}

impl Config {
    pub(crate) fn cores() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    pub(crate) fn concurrency(&self) -> usize {
        if self.concurrent_queries_max == 0 { 8 * Self::cores() } else { self.concurrent_queries_max }
    }

    pub(crate) fn engine(&self, root: String) -> crate::duckdb::Settings {
        crate::duckdb::Settings {
            root,
            memory_limit_bytes: if self.memory_limit_bytes == 0 { memory_bytes() / 2 } else { self.memory_limit_bytes },
            threads: if self.threads == 0 { Self::cores() } else { self.threads },
            temp_dir: self.temp_dir.clone(),
            temp_bytes_max: self.temp_bytes_max,
            httpfs: self.httpfs(),
            s3: self.s3.engine(),
        }
    }

    /// The first that is there: as configured, beside the binary, beside the libduckdb of the build.
    fn httpfs(&self) -> Option<PathBuf> {
        const FILE: &str = "httpfs.duckdb_extension";
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(FILE)));
        let built = duck::LIB_DIR.map(|folder| PathBuf::from(folder).join(FILE));
        self.httpfs_path.clone().or_else(|| [beside, built].into_iter().flatten().find(|path| path.is_file()))
    }
}

impl S3Config {
    fn engine(&self) -> crate::duckdb::S3 {
        let host = |url: &Url| {
            let host = url.host_str().unwrap_or_default();
            url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        };
        crate::duckdb::S3 {
            endpoint: self.endpoint.as_ref().map(host),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
            path_style: self.path_style && self.endpoint.is_some(),
            use_ssl: self.endpoint.as_ref().is_none_or(|url| url.scheme() == "https"),
        }
    }
}

/// Of the machine, or of the control group that this process may use.
fn memory_bytes() -> u64 {
    const FALLBACK: u64 = 4 << 30;
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
    });
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min().unwrap_or(FALLBACK)
}
