//! Strings over the border to C.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};

use libduckdb_sys as ffi;

use crate::error::{Error, ErrorKind, Result};

/// For the C API, which takes text up to its first NUL: text with one in it is refused, lest
/// DuckDB sees less than was checked.
pub(crate) fn to_c(text: &str) -> Result<CString> {
    CString::new(text)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "Invalid Input Error: text with a NUL character in it"))
}

/// Copies a borrowed C string; a null pointer is `None`.
///
/// # Safety
/// `text` is null or points to a NUL-terminated string that lives during the call.
pub(crate) unsafe fn copied(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null; the rest is the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Copies a C string that DuckDB allocated for us, and frees it.
///
/// # Safety
/// `text` is null or was returned by DuckDB to be freed with `duckdb_free`, and is not used again.
pub(crate) unsafe fn taken(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    let copy = unsafe { copied(text) };
    // SAFETY: allocated by DuckDB (null is allowed); nobody else has it.
    unsafe { ffi::duckdb_free(text as *mut c_void) };
    copy
}
