//! Rows into a table, without SQL.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr;

use libduckdb_sys as ffi;

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::text::{copied, to_c};

/// Adds rows to a table, value by value. What is not finished is not added.
pub struct Appender<'a> {
    raw: ffi::duckdb_appender,
    _connection: PhantomData<&'a Connection>,
}

impl Connection {
    /// An appender to a table of the schema `main` in a catalogue (`temp`).
    ///
    /// # Errors
    /// No such table.
    pub fn append(&self, catalog: &str, table: &str) -> Result<Appender<'_>> {
        let (catalog, table) = (to_c(catalog)?, to_c(table)?);
        let mut raw = ptr::null_mut();
        // SAFETY: open connection, NUL-terminated names, a valid out pointer; destroyed on drop, even on failure.
        let state = unsafe {
            ffi::duckdb_appender_create_ext(self.raw(), catalog.as_ptr(), c"main".as_ptr(), table.as_ptr(), &mut raw)
        };
        let appender = Appender { raw, _connection: PhantomData };
        appender.outcome(state)?;
        Ok(appender)
    }
}

impl Appender<'_> {
    fn outcome(&self, state: ffi::duckdb_state) -> Result<()> {
        if state == ffi::DuckDBSuccess {
            return Ok(());
        }
        // SAFETY: an appender of ours, or null, for which this answers null; the message is copied.
        let message = unsafe { copied(ffi::duckdb_appender_error(self.raw)) };
        Err(Error::of_message(message.unwrap_or_else(|| "Invalid Error: a row could not be added".into())))
    }

    /// The row's next value.
    ///
    /// # Errors
    /// A column of another type, or none.
    pub fn text(&mut self, value: &str) -> Result<&mut Self> {
        // SAFETY: live appender; the bytes live during the call, with their length; DuckDB copies them.
        let state =
            unsafe { ffi::duckdb_append_varchar_length(self.raw, value.as_ptr().cast(), value.len() as ffi::idx_t) };
        self.outcome(state)?;
        Ok(self)
    }

    /// The row's next value.
    ///
    /// # Errors
    /// A column of another type, or none.
    pub fn float(&mut self, value: f32) -> Result<&mut Self> {
        // SAFETY: live appender.
        let state = unsafe { ffi::duckdb_append_float(self.raw, value) };
        self.outcome(state)?;
        Ok(self)
    }

    /// Ends the row.
    ///
    /// # Errors
    /// A row with too few values.
    pub fn end_row(&mut self) -> Result<()> {
        // SAFETY: live appender.
        let state = unsafe { ffi::duckdb_appender_end_row(self.raw) };
        self.outcome(state)
    }

    /// Adds the rows to the table.
    ///
    /// # Errors
    /// What the table does not take.
    pub fn finish(self) -> Result<()> {
        // SAFETY: live appender; destroyed on drop.
        let state = unsafe { ffi::duckdb_appender_close(self.raw) };
        self.outcome(state)
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        // SAFETY: made by duckdb_appender_create_ext (null is allowed), destroyed once, here.
        unsafe { ffi::duckdb_appender_destroy(&mut self.raw) };
    }
}
