//! A DuckDB instance.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::Arc;

use libduckdb_sys as ffi;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::text::{copied, taken, to_c};

/// A DuckDB instance, shared by its connections. Cheap to clone; closed with the last of them.
#[derive(Clone)]
pub struct Database(Arc<DatabaseHandle>);

pub(crate) struct DatabaseHandle(ffi::duckdb_database);

// SAFETY: a database handle is a shared pointer to a DatabaseInstance, which DuckDB documents to be
// used from any number of threads.
unsafe impl Send for DatabaseHandle {}
// SAFETY: as above; the only call made through a shared handle is duckdb_connect.
unsafe impl Sync for DatabaseHandle {}

impl Drop for DatabaseHandle {
    fn drop(&mut self) {
        // SAFETY: opened by duckdb_open_ext, closed once, here.
        unsafe { ffi::duckdb_close(&mut self.0) }
    }
}

impl Database {
    /// Opens an empty database in memory with the given settings (`("threads", "2")`).
    ///
    /// # Errors
    /// A setting that DuckDB does not know or take.
    pub fn open_in_memory(settings: &[(&str, &str)]) -> Result<Self> {
        let mut config = Config::new()?;
        for (key, value) in settings {
            config.set(key, value)?;
        }
        let path = to_c(":memory:")?;
        let mut handle = ptr::null_mut();
        let mut message = ptr::null_mut();
        // SAFETY: all pointers are valid for the call; DuckDB copies what it keeps of the config.
        let state = unsafe { ffi::duckdb_open_ext(path.as_ptr(), &mut handle, config.0, &mut message) };
        if state != ffi::DuckDBSuccess {
            // SAFETY: on failure `message` is null or ours to free.
            let message = unsafe { taken(message) };
            return Err(Error::of_message(message.unwrap_or_else(|| "could not open the database".into())));
        }
        Ok(Database(Arc::new(DatabaseHandle(handle))))
    }

    /// A connection of its own: transactions, temporary views and settings are not shared.
    ///
    /// # Errors
    /// DuckDB's, when the instance can take none.
    pub fn connect(&self) -> Result<Connection> {
        let mut handle = ptr::null_mut();
        // SAFETY: the database is open as long as `self.0` is.
        let state = unsafe { ffi::duckdb_connect(self.0.0, &mut handle) };
        if state != ffi::DuckDBSuccess {
            return Err(Error::new(ErrorKind::Connection, "Connection Error: could not connect"));
        }
        Ok(Connection::new(handle, self.0.clone()))
    }
}

/// The version of the DuckDB that is linked, as it says itself (`v1.5.5`).
pub fn library_version() -> String {
    // SAFETY: a static string.
    unsafe { copied(ffi::duckdb_library_version()) }.unwrap_or_default()
}

struct Config(ffi::duckdb_config);

impl Config {
    fn new() -> Result<Self> {
        let mut config = ptr::null_mut();
        // SAFETY: the pointer is valid for the call.
        if unsafe { ffi::duckdb_create_config(&mut config) } != ffi::DuckDBSuccess {
            return Err(Error::new(ErrorKind::OutOfMemory, "Out of Memory Error: no configuration"));
        }
        Ok(Config(config))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let (name, text) = (to_c(key)?, to_c(value)?);
        // SAFETY: the config lives until `self` is dropped; DuckDB copies both strings.
        match unsafe { ffi::duckdb_set_config(self.0, name.as_ptr(), text.as_ptr()) } {
            ffi::DuckDBSuccess => Ok(()),
            _ => {
                Err(Error::new(ErrorKind::InvalidConfiguration, format!("Invalid Configuration Error: setting {key}")))
            }
        }
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: created by duckdb_create_config, destroyed once, here.
        unsafe { ffi::duckdb_destroy_config(&mut self.0) }
    }
}
