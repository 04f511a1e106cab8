//! Results, chunk by chunk, as Arrow.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use libduckdb_sys as ffi;

use crate::connection::ConnectionHandle;
use crate::error::{Error, ErrorKind, Result};
use crate::text::{copied, to_c};
use crate::types::{LogicalType, Type};

pub(crate) struct ResultHandle(ffi::duckdb_result);

impl ResultHandle {
    pub(crate) fn empty() -> Self {
        // SAFETY: integers and pointers alone: all zero is a valid value, and what the API itself
        // starts from.
        ResultHandle(unsafe { MaybeUninit::zeroed().assume_init() })
    }

    pub(crate) fn as_mut(&mut self) -> *mut ffi::duckdb_result {
        &mut self.0
    }

    fn failure(&mut self) -> Option<Error> {
        // SAFETY: a result filled by DuckDB, or empty, for which this answers null; copied.
        let message = unsafe { copied(ffi::duckdb_result_error(&mut self.0)) }?;
        // SAFETY: as above.
        let code = unsafe { ffi::duckdb_result_error_type(&mut self.0) };
        Some(Error { kind: ErrorKind::of_code(code), message })
    }

    pub(crate) fn error(&mut self) -> Error {
        self.failure().unwrap_or_else(|| Error::new(ErrorKind::Unknown, "DuckDB gave no reason"))
    }
}

impl Drop for ResultHandle {
    fn drop(&mut self) {
        // SAFETY: filled by DuckDB or empty (both allowed), destroyed once, here.
        unsafe { ffi::duckdb_destroy_result(&mut self.0) }
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As the statement names it; not necessarily unique.
    pub name: String,
    /// Its type in DuckDB's terms.
    pub logical_type: Type,
}

/// A result being read: batches of at most 2,048 rows, computed as they are asked for.
///
/// Dropped before its end, it stops the statement and frees what it holds.
pub struct Stream {
    // Order matters: the result and the options go before the connection they belong to.
    result: ResultHandle,
    options: ArrowOptions,
    connection: Arc<ConnectionHandle>,
    columns: Arc<[Column]>,
    schema: SchemaRef,
    ended: bool,
}

// SAFETY: a result belongs to no thread; fetching from it takes the lock of the connection's
// context, which `connection` keeps alive.
unsafe impl Send for Stream {}

impl Stream {
    pub(crate) fn new(mut result: ResultHandle, connection: Arc<ConnectionHandle>) -> Result<Self> {
        // SAFETY: a result without error; the options are destroyed on drop, before the connection.
        let options = ArrowOptions(unsafe { ffi::duckdb_result_get_arrow_options(result.as_mut()) });
        // SAFETY: as above.
        let count = unsafe { ffi::duckdb_column_count(result.as_mut()) };
        let mut types = Vec::with_capacity(count as usize);
        let mut columns = Vec::with_capacity(count as usize);
        for index in 0..count {
            // SAFETY: `index` is in range; the type is ours, the name is copied.
            let (logical_type, name) = unsafe {
                let raw = ffi::duckdb_column_logical_type(result.as_mut(), index);
                (LogicalType::new(raw), copied(ffi::duckdb_column_name(result.as_mut(), index)).unwrap_or_default())
            };
            columns.push(Column { name, logical_type: logical_type.describe() });
            types.push(logical_type);
        }
        let schema = Arc::new(options.schema(&types, &columns)?);
        Ok(Stream { result, options, connection, columns: columns.into(), schema, ended: false })
    }

    /// The columns, in DuckDB's terms.
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// The columns, in Arrow's.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// DuckDB's; one that [`Error::is_interrupt`] where it was stopped. Then the stream is over.
    ///
    /// A thread of DuckDB that fails interrupts the connection, so that the others stop. 1.5.5 looks at
    /// that flag before it looks at what failed when it fills the buffer of a stream whose rows have
    /// no order of their own or come from one thread (`SimpleBufferedData`): where a background thread
    /// failed, a fetch may therefore tell an interruption that nobody asked for, and the failure is
    /// lost (of 4,599 such failures 49: 0.3% on 2 threads, 1% on 4, 3% on 16). [`crate::Prepared::execute`] looks
    /// in the right order.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        // SAFETY: a live result (passed by value, as the API wants it: it holds a pointer).
        let chunk = Chunk(unsafe { ffi::duckdb_fetch_chunk(self.result.0) });
        if chunk.0.is_null() {
            self.ended = true;
            return self.result.failure().map_or(Ok(None), Err);
        }
        let mut array = ffi::ArrowArray::empty();
        // SAFETY: live options and chunk, a valid out pointer. The array owns its memory.
        let failure = unsafe { ffi::duckdb_data_chunk_to_arrow(self.options.0, chunk.0, &mut array) };
        ErrorData(failure).check()?;
        // SAFETY: both structs are the C data interface's, field by field; the array was filled by
        // DuckDB and ownership passes to arrow, which calls `release`.
        let array = unsafe { FFI_ArrowArray::from_raw(ptr::from_mut(&mut array).cast()) };
        // SAFETY: DuckDB made the array from the types that it made the schema from.
        let data =
            unsafe { from_ffi_and_data_type(array, DataType::Struct(self.schema.fields().clone())) }.map_err(arrow)?;
        let rows = StructArray::from(data);
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let (_, arrays, _) = rows.into_parts();
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map(Some).map_err(arrow)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.ended {
            // Its tasks would hold their buffers until the connection's next statement.
            self.connection.interrupt();
            self.result = ResultHandle::empty();
            self.connection.settle();
        }
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

fn arrow(error: ArrowError) -> Error {
    Error::new(ErrorKind::Internal, format!("INTERNAL Error: Arrow: {error}"))
}

struct ArrowOptions(ffi::duckdb_arrow_options);

impl ArrowOptions {
    fn schema(&self, types: &[LogicalType], columns: &[Column]) -> Result<Schema> {
        let names =
            columns.iter().map(|c| to_c(&c.name.replace('\0', "\u{fffd}"))).collect::<Result<Vec<CString>>>()?;
        let mut raw_names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let mut raw_types: Vec<_> = types.iter().map(LogicalType::raw).collect();
        let mut schema = ffi::ArrowSchema::empty();
        // SAFETY: both arrays have `types.len()` valid elements, which live during the call.
        let failure = unsafe {
            let count = types.len() as ffi::idx_t;
            ffi::duckdb_to_arrow_schema(self.0, raw_types.as_mut_ptr(), raw_names.as_mut_ptr(), count, &mut schema)
        };
        ErrorData(failure).check()?;
        // SAFETY: as for the array in `next_batch`.
        let schema = unsafe { FFI_ArrowSchema::from_raw(ptr::from_mut(&mut schema).cast()) };
        Schema::try_from(&schema).map_err(arrow)
    }
}

impl Drop for ArrowOptions {
    fn drop(&mut self) {
        // SAFETY: made by DuckDB, destroyed once, here.
        unsafe { ffi::duckdb_destroy_arrow_options(&mut self.0) }
    }
}

struct Chunk(ffi::duckdb_data_chunk);

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: fetched from a result (null is allowed), destroyed once, here.
        unsafe { ffi::duckdb_destroy_data_chunk(&mut self.0) }
    }
}

struct ErrorData(ffi::duckdb_error_data);

impl ErrorData {
    fn check(self) -> Result<()> {
        // SAFETY: null (no error) or error data of ours; the message is copied.
        unsafe {
            if self.0.is_null() || !ffi::duckdb_error_data_has_error(self.0) {
                return Ok(());
            }
            let kind = ErrorKind::of_code(ffi::duckdb_error_data_error_type(self.0));
            Err(Error::new(kind, copied(ffi::duckdb_error_data_message(self.0)).unwrap_or_default()))
        }
    }
}

impl Drop for ErrorData {
    fn drop(&mut self) {
        // SAFETY: null or made by DuckDB, destroyed once, here.
        unsafe { ffi::duckdb_destroy_error_data(&mut self.0) }
    }
}
