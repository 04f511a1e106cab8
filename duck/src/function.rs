//! Scalar functions that are computed outside of DuckDB.
#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use libduckdb_sys as ffi;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::text::to_c;
use crate::types::LogicalType;

/// A function of texts whose values are lists of FLOAT.
pub trait TextFunction: Send + Sync + 'static {
    /// The values of some rows, in their order; `None` is NULL. `arguments[i]` has the rows of the i-th argument.
    /// `connection` is the one whose statement asks ([`Connection::id`]); several threads of it may ask at once.
    ///
    /// # Errors
    /// What the statement fails with.
    fn call(
        &self,
        connection: u64,
        arguments: &[Vec<Option<&str>>],
    ) -> std::result::Result<Vec<Option<Arc<[f32]>>>, String>;
}

/// What DuckDB keeps with the function: where it is.
type Extra = Arc<dyn TextFunction>;

impl Connection {
    /// Adds a function, for all connections of the database, with 1 to `arguments_max` arguments. It answers the
    /// same for the same arguments within one statement: of constants it may be asked while planning.
    ///
    /// # Errors
    /// A name that something else has.
    pub fn register(&self, name: &str, arguments_max: usize, function: Arc<dyn TextFunction>) -> Result<()> {
        let name = to_c(name)?;
        // SAFETY: a NUL-terminated name; the set is destroyed on drop.
        let set = Set(unsafe { ffi::duckdb_create_scalar_function_set(name.as_ptr()) });
        for arguments in 1..=arguments_max {
            let overload = Overload::new(&name, arguments, &function)?;
            // SAFETY: both are alive; the set copies the function.
            if unsafe { ffi::duckdb_add_scalar_function_to_set(set.0, overload.0) } != ffi::DuckDBSuccess {
                return Err(Error::new(ErrorKind::Internal, "Internal Error: an overload was not taken"));
            }
        }
        // SAFETY: an open connection and a live set, which DuckDB copies.
        match unsafe { ffi::duckdb_register_scalar_function_set(self.raw(), set.0) } {
            ffi::DuckDBSuccess => Ok(()),
            _ => Err(Error::new(ErrorKind::Catalog, format!("Catalog Error: {name:?} could not be registered"))),
        }
    }
}

struct Set(ffi::duckdb_scalar_function_set);

impl Drop for Set {
    fn drop(&mut self) {
        // SAFETY: created by us, destroyed once, here.
        unsafe { ffi::duckdb_destroy_scalar_function_set(&mut self.0) }
    }
}

struct Overload(ffi::duckdb_scalar_function);

impl Overload {
    fn new(name: &CString, arguments: usize, function: &Extra) -> Result<Self> {
        // SAFETY: destroyed on drop.
        let overload = Overload(unsafe { ffi::duckdb_create_scalar_function() });
        let text = LogicalType::of(ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR);
        let float = LogicalType::of(ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT);
        let list = float.list();
        let extra = Box::into_raw(Box::new(function.clone())).cast::<c_void>();
        // SAFETY: live function and types, which DuckDB copies; `extra` is a box that `drop_box` takes back, and
        // the three callbacks read what is set here as the types that are set here.
        unsafe {
            ffi::duckdb_scalar_function_set_name(overload.0, name.as_ptr());
            for _ in 0..arguments {
                ffi::duckdb_scalar_function_add_parameter(overload.0, text.raw());
            }
            ffi::duckdb_scalar_function_set_return_type(overload.0, list.raw());
            ffi::duckdb_scalar_function_set_extra_info(overload.0, extra, Some(drop_box::<Extra>));
            ffi::duckdb_scalar_function_set_init(overload.0, Some(init));
            ffi::duckdb_scalar_function_set_function(overload.0, Some(run));
        }
        Ok(overload)
    }
}

impl Drop for Overload {
    fn drop(&mut self) {
        // SAFETY: created by us, destroyed once, here.
        unsafe { ffi::duckdb_destroy_scalar_function(&mut self.0) }
    }
}

/// Called by DuckDB when it lets go of what it was given.
///
/// # Safety
/// `held` came from `Box::<T>::into_raw` and is not used again.
pub(crate) unsafe extern "C" fn drop_box<T>(held: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(held.cast::<T>()) });
}

/// Notes for which connection a thread will ask.
///
/// # Safety
/// Called by DuckDB, with a live `info`.
unsafe extern "C" fn init(info: ffi::duckdb_init_info) {
    let mut context = ptr::null_mut();
    // SAFETY: live info, valid out pointer; the context is destroyed once; the state is a box that `drop_box`
    // takes back.
    unsafe {
        ffi::duckdb_scalar_function_init_get_client_context(info, &mut context);
        let connection = ffi::duckdb_client_context_get_connection_id(context);
        ffi::duckdb_destroy_client_context(&mut context);
        let state = Box::into_raw(Box::new(connection)).cast::<c_void>();
        ffi::duckdb_scalar_function_init_set_state(info, state, Some(drop_box::<u64>));
    }
}

/// # Safety
/// Called by DuckDB: `input` has flat columns of VARCHAR, `output` is a vector of FLOAT[].
unsafe extern "C" fn run(info: ffi::duckdb_function_info, input: ffi::duckdb_data_chunk, output: ffi::duckdb_vector) {
    // SAFETY: set by `Overload::new` and `init`, alive as long as the function and the thread's state.
    let (function, connection) = unsafe {
        let extra = ffi::duckdb_scalar_function_get_extra_info(info).cast::<Extra>();
        let state = ffi::duckdb_scalar_function_get_state(info).cast::<u64>();
        (&*extra, *state)
    };
    // A panic must not cross the border to C.
    let answered = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: this call's own chunk, which lives until it returns.
        let arguments = unsafe { arguments(input) };
        let rows = arguments.first().map_or(0, Vec::len);
        let values = function.call(connection, &arguments)?;
        if values.len() != rows {
            return Err(format!("{} values for {rows} rows", values.len()));
        }
        Ok(values)
    }));
    let written = match answered {
        // SAFETY: this call's own output vector.
        Ok(Ok(values)) => unsafe { write(output, &values) },
        Ok(Err(message)) => Err(message),
        Err(_panic) => Err("a function of ours panicked".to_owned()),
    };
    if let Err(message) = written {
        let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
        // SAFETY: live info; DuckDB copies the text.
        unsafe { ffi::duckdb_scalar_function_set_error(info, message.as_ptr()) };
    }
}

/// The rows of each column.
///
/// # Safety
/// `input` is a live chunk of flat columns of VARCHAR that outlives the answer.
unsafe fn arguments<'a>(input: ffi::duckdb_data_chunk) -> Vec<Vec<Option<&'a str>>> {
    // SAFETY: the caller's promise: every column has `rows` strings, which are UTF-8 as DuckDB checks on their way
    // in; no mask means that none is NULL.
    unsafe {
        let rows = ffi::duckdb_data_chunk_get_size(input);
        let column = |index| {
            let vector = ffi::duckdb_data_chunk_get_vector(input, index);
            let strings = ffi::duckdb_vector_get_data(vector).cast::<ffi::duckdb_string_t>();
            let mask = ffi::duckdb_vector_get_validity(vector);
            let text = |row: ffi::idx_t| {
                if !mask.is_null() && !ffi::duckdb_validity_row_is_valid(mask, row) {
                    return None;
                }
                let string = strings.add(row as usize);
                let bytes = ffi::duckdb_string_t_data(string).cast::<u8>();
                let length = ffi::duckdb_string_t_length(*string) as usize;
                std::str::from_utf8(std::slice::from_raw_parts(bytes, length)).ok()
            };
            (0..rows).map(text).collect()
        };
        (0..ffi::duckdb_data_chunk_get_column_count(input)).map(column).collect()
    }
}

/// Writes a column of lists.
///
/// # Safety
/// `output` is a live vector of FLOAT[] with room for as many rows as there are values.
unsafe fn write(output: ffi::duckdb_vector, values: &[Option<Arc<[f32]>>]) -> std::result::Result<(), String> {
    let floats: usize = values.iter().flatten().map(|value| value.len()).sum();
    // SAFETY: the caller's promise; the child is asked for after its room was made, as that may move it.
    unsafe {
        if ffi::duckdb_list_vector_reserve(output, floats as ffi::idx_t) != ffi::DuckDBSuccess {
            return Err("no memory for vectors".to_owned());
        }
        ffi::duckdb_vector_ensure_validity_writable(output);
        let mask = ffi::duckdb_vector_get_validity(output);
        let entries = ffi::duckdb_vector_get_data(output).cast::<ffi::duckdb_list_entry>();
        let child = ffi::duckdb_vector_get_data(ffi::duckdb_list_vector_get_child(output)).cast::<f32>();
        let mut offset = 0;
        for (row, value) in values.iter().enumerate() {
            let length = value.as_ref().map_or(0, |value| value.len());
            if let Some(value) = value {
                ptr::copy_nonoverlapping(value.as_ptr(), child.add(offset), length);
            } else {
                ffi::duckdb_validity_set_row_invalid(mask, row as ffi::idx_t);
            }
            *entries.add(row) = ffi::duckdb_list_entry { offset: offset as u64, length: length as u64 };
            offset += length;
        }
        ffi::duckdb_list_vector_set_size(output, floats as ffi::idx_t);
    }
    Ok(())
}
