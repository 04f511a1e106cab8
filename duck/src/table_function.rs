//! Table functions whose rows come from outside of DuckDB.
#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use libduckdb_sys as ffi;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::function::drop_box;
use crate::text::{taken, to_c};
use crate::types::{LogicalType, Type};

/// A table function of one text, which names the rows that are wanted.
pub trait TableFunction: Send + Sync + 'static {
    /// Its columns: VARCHAR, a named type over it (JSON), or FLOAT.
    fn columns(&self) -> Vec<(&'static str, Type)>;

    /// The rows, without NULL: Utf8 for each VARCHAR, Float32 for each FLOAT. Asked when a statement is planned,
    /// for their number, and whenever the plan is run. `connection` is the one whose statement asks
    /// ([`Connection::id`]).
    ///
    /// # Errors
    /// What the statement fails with.
    fn rows(&self, connection: u64, key: &str) -> std::result::Result<RecordBatch, String>;
}

/// What DuckDB keeps with the function.
type Extra = Arc<dyn TableFunction>;

/// What it keeps with a plan.
struct Bound {
    function: Extra,
    connection: u64,
    key: String,
}

/// What it keeps with a run of a plan.
struct Run {
    rows: RecordBatch,
    written: AtomicUsize,
}

impl Connection {
    /// Adds a table function, for all connections of the database.
    ///
    /// # Errors
    /// A name that something else has.
    pub fn register_table(&self, name: &str, function: Arc<dyn TableFunction>) -> Result<()> {
        let name = to_c(name)?;
        // SAFETY: destroyed on drop.
        let raw = Raw(unsafe { ffi::duckdb_create_table_function() });
        let text = LogicalType::of(ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR);
        let extra = Box::into_raw(Box::new(function)).cast::<c_void>();
        // SAFETY: a live function and type, which DuckDB copies; `extra` is a box that `drop_box` takes back, and the
        // three callbacks read what is set here as the types that are set here; an open connection.
        let state = unsafe {
            ffi::duckdb_table_function_set_name(raw.0, name.as_ptr());
            ffi::duckdb_table_function_add_parameter(raw.0, text.raw());
            ffi::duckdb_table_function_set_extra_info(raw.0, extra, Some(drop_box::<Extra>));
            ffi::duckdb_table_function_set_bind(raw.0, Some(bind));
            ffi::duckdb_table_function_set_init(raw.0, Some(init));
            ffi::duckdb_table_function_set_function(raw.0, Some(run));
            ffi::duckdb_register_table_function(self.raw(), raw.0)
        };
        match state {
            ffi::DuckDBSuccess => Ok(()),
            _ => Err(Error::new(ErrorKind::Catalog, format!("Catalog Error: {name:?} could not be registered"))),
        }
    }
}

struct Raw(ffi::duckdb_table_function);

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: created by us, destroyed once, here.
        unsafe { ffi::duckdb_destroy_table_function(&mut self.0) }
    }
}

/// What `work` says, or that it panicked: a panic must not cross the border to C.
fn caught<T>(work: impl FnOnce() -> std::result::Result<T, String>) -> std::result::Result<T, CString> {
    let done = catch_unwind(AssertUnwindSafe(work));
    let done = done.unwrap_or_else(|_| Err("a table function of ours panicked".to_owned()));
    done.map_err(|message| CString::new(message.replace('\0', " ")).unwrap_or_default())
}

/// # Safety
/// Called by DuckDB, with a live `info` of a function of [`Connection::register_table`].
unsafe extern "C" fn bind(info: ffi::duckdb_bind_info) {
    // SAFETY: set by `register_table`, alive as long as the function.
    let function = unsafe { &*ffi::duckdb_bind_get_extra_info(info).cast::<Extra>() };
    let bound = caught(|| {
        // SAFETY: live info.
        let bound =
            Bound { function: function.clone(), connection: unsafe { asking(info) }, key: unsafe { key(info) }? };
        let rows = function.rows(bound.connection, &bound.key)?.num_rows();
        for (name, column) in function.columns() {
            let name = to_c(name).map_err(|error| error.message)?;
            let column = logical_type(&column)?;
            // SAFETY: live info, name and type, which DuckDB copies.
            unsafe { ffi::duckdb_bind_add_result_column(info, name.as_ptr(), column.raw()) };
        }
        Ok((bound, rows))
    });
    // SAFETY: live info; DuckDB copies the text, and `drop_box` takes the box back.
    unsafe {
        match bound {
            Ok((bound, rows)) => {
                ffi::duckdb_bind_set_cardinality(info, rows as ffi::idx_t, false);
                let bound = Box::into_raw(Box::new(bound)).cast::<c_void>();
                ffi::duckdb_bind_set_bind_data(info, bound, Some(drop_box::<Bound>));
            }
            Err(message) => ffi::duckdb_bind_set_error(info, message.as_ptr()),
        }
    }
}

/// The connection whose statement is planned.
///
/// # Safety
/// A live `info`.
unsafe fn asking(info: ffi::duckdb_bind_info) -> u64 {
    let mut context = ptr::null_mut();
    // SAFETY: live info, valid out pointer; the context is destroyed once.
    unsafe {
        ffi::duckdb_table_function_get_client_context(info, &mut context);
        let connection = ffi::duckdb_client_context_get_connection_id(context);
        ffi::duckdb_destroy_client_context(&mut context);
        connection
    }
}

/// The function's argument.
///
/// # Safety
/// A live `info` of a function with one parameter, a VARCHAR.
unsafe fn key(info: ffi::duckdb_bind_info) -> std::result::Result<String, String> {
    // SAFETY: the caller's promise; value and text are ours to free.
    unsafe {
        let mut value = ffi::duckdb_bind_get_parameter(info, 0);
        let key = if ffi::duckdb_is_null_value(value) { None } else { taken(ffi::duckdb_get_varchar(value)) };
        ffi::duckdb_destroy_value(&mut value);
        key.ok_or_else(|| "NULL names no rows".to_owned())
    }
}

fn logical_type(column: &Type) -> std::result::Result<LogicalType, String> {
    let id = match column.storage() {
        Type::Varchar => ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
        Type::Float => ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT,
        other => return Err(format!("no column of ours can be {other}")),
    };
    let logical = LogicalType::of(id);
    if let Type::Named(name, _) = column {
        let name = to_c(name).map_err(|error| error.message)?;
        // SAFETY: a live type of ours and a name, which DuckDB copies.
        unsafe { ffi::duckdb_logical_type_set_alias(logical.raw(), name.as_ptr()) };
    }
    Ok(logical)
}

/// # Safety
/// Called by DuckDB, with a live `info` of a plan that `bind` was called for.
unsafe extern "C" fn init(info: ffi::duckdb_init_info) {
    // SAFETY: set by `bind`, alive as long as the plan.
    let bound = unsafe { &*ffi::duckdb_init_get_bind_data(info).cast::<Bound>() };
    let rows = caught(|| bound.function.rows(bound.connection, &bound.key));
    // SAFETY: live info; DuckDB copies the text, and `drop_box` takes the box back.
    unsafe {
        match rows {
            Ok(rows) => {
                let run = Box::into_raw(Box::new(Run { rows, written: AtomicUsize::new(0) })).cast::<c_void>();
                ffi::duckdb_init_set_init_data(info, run, Some(drop_box::<Run>));
                ffi::duckdb_init_set_max_threads(info, 1);
            }
            Err(message) => ffi::duckdb_init_set_error(info, message.as_ptr()),
        }
    }
}

/// # Safety
/// Called by DuckDB: `output` is an empty chunk with the columns that `bind` has named.
unsafe extern "C" fn run(info: ffi::duckdb_function_info, output: ffi::duckdb_data_chunk) {
    // SAFETY: set by `init`, alive as long as the run; the size is a constant of the library.
    let (run, room) =
        unsafe { (&*ffi::duckdb_function_get_init_data(info).cast::<Run>(), ffi::duckdb_vector_size() as usize) };
    let written = caught(|| {
        let from = run.written.load(Ordering::Relaxed);
        let rows = room.min(run.rows.num_rows() - from);
        // SAFETY: this call's own chunk, with room for `room` rows.
        unsafe { write(output, &run.rows.slice(from, rows)) }?;
        run.written.store(from + rows, Ordering::Relaxed);
        Ok(())
    });
    if let Err(message) = written {
        // SAFETY: live info; DuckDB copies the text.
        unsafe { ffi::duckdb_function_set_error(info, message.as_ptr()) };
    }
}

/// Fills a chunk.
///
/// # Safety
/// `output` is a live, empty chunk with room for the rows.
unsafe fn write(output: ffi::duckdb_data_chunk, rows: &RecordBatch) -> std::result::Result<(), String> {
    // SAFETY: the caller's promise; the chunk is live.
    let columns = unsafe { ffi::duckdb_data_chunk_get_column_count(output) } as usize;
    if rows.num_columns() != columns || rows.columns().iter().any(|column| column.null_count() > 0) {
        return Err(format!("rows of {columns} columns without NULL were wanted"));
    }
    for (index, column) in rows.columns().iter().enumerate() {
        // SAFETY: one of the chunk's columns.
        let vector = unsafe { ffi::duckdb_data_chunk_get_vector(output, index as ffi::idx_t) };
        // SAFETY: a live vector of a live chunk; the new type is ours to destroy.
        let wanted = LogicalType::new(unsafe { ffi::duckdb_vector_get_column_type(vector) }).describe();
        match (wanted.storage(), column.as_string_opt::<i32>(), column.as_primitive_opt::<Float32Type>()) {
            (Type::Varchar, Some(texts), _) => {
                for (row, text) in texts.iter().flatten().enumerate() {
                    let (row, length) = (row as ffi::idx_t, text.len() as ffi::idx_t);
                    // SAFETY: a VARCHAR with room for the row; the bytes live during the call, and DuckDB copies them.
                    unsafe {
                        ffi::duckdb_vector_assign_string_element_len(vector, row, text.as_ptr().cast(), length);
                    }
                }
            }
            (Type::Float, _, Some(floats)) => {
                // SAFETY: a FLOAT vector with room for all rows.
                unsafe {
                    let data = ffi::duckdb_vector_get_data(vector).cast::<f32>();
                    ptr::copy_nonoverlapping(floats.values().as_ptr(), data, floats.len());
                }
            }
            _ => return Err(format!("column {index} is {wanted} and came as {}", column.data_type())),
        }
    }
    // SAFETY: as many rows as were written to each column.
    unsafe { ffi::duckdb_data_chunk_set_size(output, rows.num_rows() as ffi::idx_t) };
    Ok(())
}
