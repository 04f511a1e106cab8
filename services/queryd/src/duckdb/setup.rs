//! The lock-down: an engine that can open the datasets' objects and nothing else.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use duck::{Connection, Database, Error, ErrorKind, quote_literal};
use kit::Secret;

const S3_SCHEME: &str = "s3://";

/// What the engine is opened with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The one folder or prefix it may open, ending in `/`: a path, or `s3://bucket/datasets/`.
    pub root: String,
    /// Bytes of memory for all statements together.
    pub memory_limit_bytes: u64,
    /// Threads that compute, for all statements together.
    pub threads: usize,
    /// Where what does not fit into memory goes.
    pub temp_dir: PathBuf,
    /// Bytes there at most.
    pub temp_bytes_max: u64,
    /// DuckDB's httpfs, for a root on S3.
    pub httpfs: Option<PathBuf>,
    /// How S3 is reached.
    pub s3: S3,
}

impl Settings {
    /// Whether the datasets lie on S3 and nobody has said with which keys.
    pub(crate) fn lacks_keys(&self) -> bool {
        self.root.starts_with(S3_SCHEME) && self.s3.access_key_id.is_empty()
    }
}

/// How S3 is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3 {
    /// `host:port`; `None`: AWS.
    pub endpoint: Option<String>,
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
    /// Whether the endpoint speaks TLS.
    pub use_ssl: bool,
}

/// Opens a locked engine. The order of the steps matters: each closes a door that the steps before
/// it still needed (seen on 1.5.5, see DESIGN.md).
///
/// # Errors
/// DuckDB's; an extension that is not there; a lock that does not hold.
pub(super) fn open(settings: &Settings) -> Result<Database, Error> {
    let memory = format!("{}B", settings.memory_limit_bytes);
    let temp = settings.temp_dir.display().to_string();
    let temp_max = format!("{}B", settings.temp_bytes_max);
    let database = Database::open_in_memory(&[
        ("allow_persistent_secrets", "false"),
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
        ("allow_community_extensions", "false"),
        ("memory_limit", &memory),
        ("threads", &settings.threads.to_string()),
        ("temp_directory", &temp),
        ("max_temp_directory_size", &temp_max),
        // Objects never change: what is known of a file stays true.
        ("enable_http_metadata_cache", "true"),
        ("validate_external_file_cache", "NO_VALIDATION"),
    ])?;
    let connection = database.connect()?;
    connection.execute_batch("SET GLOBAL TimeZone = 'UTC'; SET GLOBAL parquet_metadata_cache = true")?;
    if settings.root.starts_with(S3_SCHEME) {
        reach_s3(&connection, settings)?;
    }
    connection.execute_batch("CREATE MACRO dataset_at(n, v) AS TABLE SELECT * FROM query_table(n || '@' || v)")?;
    let root = quote_literal(&settings.root);
    connection.execute_batch(&format!("SET allowed_directories = [{root}]"))?;
    connection.execute_batch("SET enable_external_access = false")?;
    check_lock(&connection, &settings.root)?;
    connection.execute_batch("SET lock_configuration = true")?;
    if connection.execute_batch("SET threads = 1").is_ok() {
        return Err(refused("the configuration does not lock"));
    }
    Ok(database)
}

fn reach_s3(connection: &Connection, settings: &Settings) -> Result<(), Error> {
    let Some(httpfs) = settings.httpfs.as_deref().filter(|path| path.is_file()) else {
        return Err(refused("the datasets lie on S3, and DuckDB's httpfs is not there (httpfs_path)"));
    };
    connection.execute_batch(&format!("LOAD {}", quote_literal(&path_text(httpfs)?)))?;
    set_secret(connection, &settings.root, &settings.s3)
}

/// Also once the engine is locked: secrets are no part of the configuration that is. Statements that run keep
/// what they began with.
pub(super) fn set_secret(connection: &Connection, root: &str, s3: &S3) -> Result<(), Error> {
    let mut options = vec![
        "TYPE s3".to_owned(),
        format!("SCOPE {}", quote_literal(root)),
        format!("REGION {}", quote_literal(&s3.region)),
        format!("URL_STYLE '{}'", if s3.path_style { "path" } else { "vhost" }),
        format!("USE_SSL {}", s3.use_ssl),
    ];
    let texts = [
        ("ENDPOINT", s3.endpoint.as_deref().unwrap_or_default()),
        ("KEY_ID", s3.access_key_id.expose()),
        ("SECRET", s3.secret_access_key.expose()),
        ("SESSION_TOKEN", s3.session_token.expose()),
    ];
    options.extend(
        texts.iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| format!("{key} {}", quote_literal(text))),
    );
    let created = connection.execute_batch(&format!("CREATE OR REPLACE SECRET datasets ({})", options.join(", ")));
    // DuckDB's message may quote the statement, and with it the key.
    created.map_err(|error| Error { kind: error.kind, message: "the S3 secret could not be created".into() })
}

/// Reads back what was set.
fn check_lock(connection: &Connection, root: &str) -> Result<(), Error> {
    // DuckDB adds its own folder for temporary files.
    let sql = "SELECT NOT current_setting('enable_external_access') AND NOT current_setting('autoload_known_extensions') \
               AND NOT current_setting('allow_persistent_secrets') \
               AND list_contains(current_setting('allowed_directories'), $1) \
               AND len(current_setting('allowed_directories')) <= 2";
    let mut query = connection.prepare(sql)?;
    query.bind(1, &duck::Value::Text(root.to_owned()))?;
    let batch = query.execute()?.next_batch()?;
    let holds = batch.is_some_and(|batch| batch.column(0).as_boolean_opt().is_some_and(|holds| holds.value(0)));
    if holds { Ok(()) } else { Err(refused("the lock-down does not hold: a setting did not read back as it was set")) }
}

fn path_text(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| refused("the path of httpfs is not UTF-8"))
}

fn refused(why: &str) -> Error {
    Error { kind: ErrorKind::InvalidConfiguration, message: why.to_owned() }
}
