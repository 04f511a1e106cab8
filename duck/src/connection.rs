//! A connection, and the handle that stops what runs on it.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use libduckdb_sys as ffi;

use crate::database::DatabaseHandle;
use crate::error::{Error, Result};
use crate::statement::{Extracted, Statement};
use crate::stream::ResultHandle;
use crate::text::{copied, to_c};

pub(crate) struct ConnectionHandle {
    raw: ffi::duckdb_connection,
    /// Open as long as one of its connections is.
    _database: Arc<DatabaseHandle>,
}

// SAFETY: a connection may be used from any thread: every call that changes it takes the lock of its
// ClientContext, and `duckdb_interrupt`, which does not, stores to one atomic.
unsafe impl Send for ConnectionHandle {}
// SAFETY: as above.
unsafe impl Sync for ConnectionHandle {}

impl ConnectionHandle {
    pub(crate) fn raw(&self) -> ffi::duckdb_connection {
        self.raw
    }

    pub(crate) fn interrupt(&self) {
        // SAFETY: the connection is open until `self` is dropped; this stores to an atomic flag.
        unsafe { ffi::duckdb_interrupt(self.raw) }
    }

    /// Ends whatever result is still open on the connection and frees what it holds.
    pub(crate) fn settle(&self) {
        let mut result = ResultHandle::empty();
        // SAFETY: open connection, NUL-terminated text, a result that is destroyed on drop.
        unsafe { ffi::duckdb_query(self.raw, c"SELECT 1".as_ptr(), result.as_mut()) };
    }
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        // SAFETY: opened by duckdb_connect, closed once, here: nobody else holds it any more.
        unsafe { ffi::duckdb_disconnect(&mut self.raw) }
    }
}

/// A connection. It may move between threads; one at a time uses it.
pub struct Connection {
    handle: Arc<ConnectionHandle>,
    _one_user: PhantomData<Cell<()>>,
}

impl Connection {
    pub(crate) fn new(raw: ffi::duckdb_connection, database: Arc<DatabaseHandle>) -> Self {
        Connection { handle: Arc::new(ConnectionHandle { raw, _database: database }), _one_user: PhantomData }
    }

    pub(crate) fn raw(&self) -> ffi::duckdb_connection {
        self.handle.raw
    }

    /// What the database knows this connection by: another one's id is never the same while both are open.
    pub fn id(&self) -> u64 {
        let mut context = ptr::null_mut();
        // SAFETY: open connection, valid out pointer; the context is destroyed once, here.
        unsafe {
            ffi::duckdb_connection_get_client_context(self.handle.raw, &mut context);
            let id = ffi::duckdb_client_context_get_connection_id(context);
            ffi::duckdb_destroy_client_context(&mut context);
            id
        }
    }

    /// Runs statements one after the other and drops their results. For **our own** SQL: whatever
    /// stands in the text is run.
    ///
    /// # Errors
    /// Of the first statement that failed; those before it took effect.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        let text = to_c(sql)?;
        let mut result = ResultHandle::empty();
        // SAFETY: open connection, NUL-terminated text, a result that is destroyed on drop.
        let state = unsafe { ffi::duckdb_query(self.handle.raw, text.as_ptr(), result.as_mut()) };
        if state == ffi::DuckDBSuccess { Ok(()) } else { Err(result.error()) }
    }

    /// Tells the statements of a text apart. Nothing is prepared or run.
    ///
    /// A `PRAGMA` that stands for other SQL is replaced by it, and a bare `PIVOT` becomes two
    /// statements, as DuckDB itself sees them.
    ///
    /// # Errors
    /// Text that does not parse.
    pub fn extract(&self, sql: &str) -> Result<Vec<Statement>> {
        let text = to_c(sql)?;
        let mut raw = ptr::null_mut();
        // SAFETY: open connection, NUL-terminated text, a valid out pointer.
        let count = unsafe { ffi::duckdb_extract_statements(self.handle.raw, text.as_ptr(), &mut raw) };
        let extracted = Arc::new(Extracted::new(raw));
        if count == 0 {
            // SAFETY: `raw` lives in `extracted`; the message is copied.
            if let Some(message) = unsafe { copied(ffi::duckdb_extract_statements_error(raw)) } {
                return Err(Error::of_message(message));
            }
        }
        Ok((0..count).map(|index| Statement::new(self.handle.clone(), extracted.clone(), index)).collect())
    }

    /// Extracts and prepares the one statement of a text of **our own**.
    ///
    /// # Errors
    /// Text that does not parse or bind, or that is not one statement.
    pub fn prepare(&self, sql: &str) -> Result<crate::Prepared> {
        let mut statements = self.extract(sql)?;
        match (statements.pop(), statements.is_empty()) {
            (Some(only), true) => only.prepare(),
            _ => Err(Error::of_message("Invalid Input Error: not exactly one statement".into())),
        }
    }

    /// A handle that stops what runs here, from any thread.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.handle.clone())
    }
}

/// Stops what runs on a connection. It keeps the connection open as long as it lives.
#[derive(Clone)]
pub struct Interrupter(Arc<ConnectionHandle>);

impl Interrupter {
    /// Asks the running statement to stop; it then fails with an error that
    /// [`Error::is_interrupt`]. DuckDB forgets an interrupt that comes before the statement has
    /// begun: send it again until the statement is down.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}
