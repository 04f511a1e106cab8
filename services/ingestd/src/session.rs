//! DuckDB for one ingest: an instance of its own that can read one file and nothing else.

use std::path::{Path, PathBuf};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use duck::{Column, Connection, Database, Interrupter, Stream, quote_literal};

use crate::config::Config;
use crate::error::Error;

pub(crate) struct Session {
    // Before the folder that it spills to.
    connection: Connection,
    _scratch: Scratch,
    path: PathBuf,
    memory_bytes: u64,
}

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Made by DuckDB only where something did not fit in memory.
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a scratch folder stays behind");
        }
    }
}

impl Session {
    /// Opens an instance that can read `path`, and write to `scratch` what does not fit in memory.
    pub(crate) fn open(config: &Config, path: &Path, scratch: PathBuf) -> Result<Self, Error> {
        let memory = format!("{}B", config.duckdb_memory_bytes);
        let threads = config.parse_threads().to_string();
        let folder = scratch.to_string_lossy().into_owned();
        let settings = [
            ("memory_limit", memory.as_str()),
            ("threads", threads.as_str()),
            ("temp_directory", folder.as_str()),
            ("allow_persistent_secrets", "false"),
            ("autoinstall_known_extensions", "false"),
            ("autoload_known_extensions", "false"),
            ("allow_community_extensions", "false"),
        ];
        let connection = Database::open_in_memory(&settings).and_then(|db| db.connect()).map_err(Error::Engine)?;
        let lock_down = format!(
            "SET allowed_paths = [{}]; SET enable_external_access = false; SET lock_configuration = true;",
            quote_literal(&path.to_string_lossy())
        );
        connection.execute_batch(&lock_down).map_err(Error::Engine)?;
        let memory_bytes = config.duckdb_memory_bytes;
        Ok(Session { connection, _scratch: Scratch(scratch), path: path.to_owned(), memory_bytes })
    }

    pub(crate) fn interrupter(&self) -> Interrupter {
        self.connection.interrupter()
    }

    /// The file, as SQL.
    pub(crate) fn file(&self) -> String {
        quote_literal(&self.path.to_string_lossy())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn stream(&self, sql: &str) -> Result<Stream, duck::Error> {
        self.connection.prepare(sql)?.execute()
    }

    /// The columns that `source` (a table function with its arguments) has.
    pub(crate) fn describe(&self, source: &str) -> Result<Vec<Column>, duck::Error> {
        Ok(self.stream(&format!("SELECT * FROM {source} LIMIT 0"))?.columns().to_vec())
    }

    /// A small result of VARCHAR columns alone.
    pub(crate) fn text_rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, duck::Error> {
        let mut rows = Vec::new();
        for batch in self.stream(sql)? {
            let batch = batch?;
            let columns: Vec<_> = batch.columns().iter().map(|column| column.as_string::<i32>()).collect();
            let row = |at: usize| columns.iter().map(|c| c.is_valid(at).then(|| c.value(at).to_owned())).collect();
            rows.extend((0..batch.num_rows()).map(row));
        }
        Ok(rows)
    }

    /// An error of DuckDB's while it read the file: the file's fault, unless it is ours.
    pub(crate) fn refused(&self, format: &str, error: duck::Error) -> Error {
        use duck::ErrorKind::{Fatal, Internal, Interrupt, OutOfMemory, Permission};
        match error.kind {
            OutOfMemory => Error::Memory(self.memory_bytes),
            Interrupt | Permission | Fatal | Internal => Error::engine(error),
            _ if error.is_disk_full() => Error::engine(error),
            _ => Error::invalid(format!("{format}: {}", self.words(&error))),
        }
    }

    /// DuckDB's words about a file that a stranger sent: its first line, without our names in it.
    pub(crate) fn words(&self, error: &duck::Error) -> String {
        let path = self.path.to_string_lossy();
        let message = error.bare_message().replace(&format!("\"{path}\""), "the file").replace(&*path, "the file");
        let line = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        line.trim().chars().take(500).collect()
    }
}
