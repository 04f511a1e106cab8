//! Statements: extracted, prepared, bound, run.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::Arc;

use libduckdb_sys as ffi;

use crate::connection::ConnectionHandle;
use crate::error::{Error, ErrorKind, Result};
use crate::statement_kind::StatementKind;
use crate::stream::{ResultHandle, Stream};
use crate::text::{copied, taken, to_c};
use crate::value::Value;

/// All statements of one text.
pub(crate) struct Extracted(ffi::duckdb_extracted_statements);

// SAFETY: plain parsed statements in memory of their own, bound to no thread.
unsafe impl Send for Extracted {}
// SAFETY: shared only among the `Statement`s of one text, each of which reads its own index once,
// when it is prepared, which holds the connection's lock (see `Statement::prepare`).
unsafe impl Sync for Extracted {}

impl Extracted {
    pub(crate) fn new(raw: ffi::duckdb_extracted_statements) -> Self {
        Extracted(raw)
    }
}

impl Drop for Extracted {
    fn drop(&mut self) {
        // SAFETY: made by duckdb_extract_statements (null is allowed), destroyed once, here.
        unsafe { ffi::duckdb_destroy_extracted(&mut self.0) }
    }
}

/// One statement of a text, parsed and no more.
pub struct Statement {
    connection: Arc<ConnectionHandle>,
    extracted: Arc<Extracted>,
    index: ffi::idx_t,
}

impl Statement {
    pub(crate) fn new(connection: Arc<ConnectionHandle>, extracted: Arc<Extracted>, index: ffi::idx_t) -> Self {
        Statement { connection, extracted, index }
    }

    /// Binds the statement to what the connection sees. Nothing of it is run, but a statement that
    /// needs the effects of those before it will not bind: for strangers' SQL, take texts of
    /// exactly one statement.
    ///
    /// # Errors
    /// DuckDB's, mostly of the binder.
    pub fn prepare(self) -> Result<Prepared> {
        let mut raw = ptr::null_mut();
        // SAFETY: the connection is open, the index is one of `extracted`; it is moved out of there
        // only here, and `self` is consumed, so no index is read twice.
        let state = unsafe {
            ffi::duckdb_prepare_extracted_statement(self.connection.raw(), self.extracted.0, self.index, &mut raw)
        };
        let prepared = Prepared { raw, connection: self.connection };
        if state == ffi::DuckDBSuccess { Ok(prepared) } else { Err(prepared.error()) }
    }
}

/// A statement bound to its connection, to be run any number of times.
///
/// Its plan is made anew where what it stands on has changed since (DuckDB watches the catalogue), and, where it
/// reads Parquet files, at every run: only parsing is saved then.
pub struct Prepared {
    raw: ffi::duckdb_prepared_statement,
    connection: Arc<ConnectionHandle>,
}

// SAFETY: a prepared statement belongs to no thread; what it touches of the connection is behind
// the connection's lock. It is not Sync: its bound values are not.
unsafe impl Send for Prepared {}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: made by duckdb_prepare_extracted_statement (null is allowed), destroyed once.
        unsafe { ffi::duckdb_destroy_prepare(&mut self.raw) }
    }
}

impl Prepared {
    fn error(&self) -> Error {
        // SAFETY: `raw` is null or a statement of ours; the message is copied.
        let message = unsafe { copied(ffi::duckdb_prepare_error(self.raw)) };
        Error::of_message(message.unwrap_or_else(|| "Invalid Error: the statement could not be prepared".into()))
    }

    /// What DuckDB says it is.
    pub fn kind(&self) -> StatementKind {
        // SAFETY: a live prepared statement.
        StatementKind::of_code(unsafe { ffi::duckdb_prepared_statement_type(self.raw) })
    }

    /// How many parameters it has.
    pub fn parameter_count(&self) -> usize {
        // SAFETY: a live prepared statement.
        unsafe { ffi::duckdb_nparams(self.raw) as usize }
    }

    /// The name of a parameter, counted from 1: `name` for `$name`, a number for `?` and `$1`.
    pub fn parameter_name(&self, index: usize) -> Option<String> {
        // SAFETY: a live prepared statement; an index out of range answers null; the string is ours.
        unsafe { taken(ffi::duckdb_parameter_name(self.raw, index as ffi::idx_t)) }
    }

    /// The number of the parameter with this name.
    pub fn parameter_index(&self, name: &str) -> Option<usize> {
        let name = to_c(name).ok()?;
        let mut index = 0;
        // SAFETY: live statement, NUL-terminated name, valid out pointer.
        let state = unsafe { ffi::duckdb_bind_parameter_index(self.raw, &mut index, name.as_ptr()) };
        (state == ffi::DuckDBSuccess).then_some(index as usize)
    }

    /// Binds a value to the parameter with this number, counted from 1.
    ///
    /// # Errors
    /// No such parameter.
    pub fn bind(&mut self, index: usize, value: &Value) -> Result<()> {
        let (raw, at) = (self.raw, index as ffi::idx_t);
        // SAFETY: live statement; text and blob point to memory that lives during the call, with
        // their lengths; DuckDB copies them.
        let state = unsafe {
            match value {
                Value::Null => ffi::duckdb_bind_null(raw, at),
                Value::Bool(value) => ffi::duckdb_bind_boolean(raw, at, *value),
                Value::Int(value) => ffi::duckdb_bind_int64(raw, at, *value),
                Value::HugeInt(value) => ffi::duckdb_bind_hugeint(raw, at, hugeint(*value)),
                Value::Double(value) => ffi::duckdb_bind_double(raw, at, *value),
                Value::Text(text) => {
                    ffi::duckdb_bind_varchar_length(raw, at, text.as_ptr().cast(), text.len() as ffi::idx_t)
                }
                Value::Blob(bytes) => ffi::duckdb_bind_blob(raw, at, bytes.as_ptr().cast(), bytes.len() as ffi::idx_t),
                Value::Decimal { value, width, scale } => {
                    let decimal = ffi::duckdb_decimal { width: *width, scale: *scale, value: hugeint(*value) };
                    ffi::duckdb_bind_decimal(raw, at, decimal)
                }
            }
        };
        if state == ffi::DuckDBSuccess {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, format!("Invalid Input Error: there is no parameter {index}")))
    }

    /// Forgets all bound values.
    pub fn clear_bindings(&mut self) {
        // SAFETY: a live prepared statement.
        unsafe { ffi::duckdb_clear_bindings(self.raw) };
    }

    /// Runs it up to its first rows; the rest is computed as the stream is read. Ends what was
    /// still streaming on the same connection.
    ///
    /// # Errors
    /// DuckDB's; one that [`Error::is_interrupt`] where it was stopped.
    pub fn execute(&mut self) -> Result<Stream> {
        let mut pending = Pending(ptr::null_mut());
        // SAFETY: live statement on an open connection, valid out pointer; destroyed on drop.
        let state = unsafe { ffi::duckdb_pending_prepared_streaming(self.raw, &mut pending.0) };
        if state != ffi::DuckDBSuccess {
            return Err(pending.error());
        }
        let mut result = ResultHandle::empty();
        // SAFETY: a pending result without error; this waits for its tasks, without spinning, and
        // every wait of DuckDB's looks at the interrupt flag.
        let state = unsafe { ffi::duckdb_execute_pending(pending.0, result.as_mut()) };
        if state != ffi::DuckDBSuccess {
            return Err(result.error());
        }
        Stream::new(result, self.connection.clone())
    }
}

fn hugeint(value: i128) -> ffi::duckdb_hugeint {
    ffi::duckdb_hugeint { lower: value as u64, upper: (value >> 64) as i64 }
}

struct Pending(ffi::duckdb_pending_result);

impl Pending {
    fn error(&self) -> Error {
        // SAFETY: null or a pending result of ours; the message is copied.
        let message = unsafe { copied(ffi::duckdb_pending_error(self.0)) };
        Error::of_message(message.unwrap_or_else(|| "Invalid Error: the statement could not be run".into()))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: made by duckdb_pending_prepared_streaming (null is allowed), destroyed once.
        unsafe { ffi::duckdb_destroy_pending(&mut self.0) }
    }
}
