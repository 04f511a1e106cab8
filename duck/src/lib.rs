//! DuckDB behind a safe interface, over its C API.
//!
//! What the `duckdb` crate does not give and a service that runs other people's SQL needs:
//!
//! - statements are told apart **before** anything is prepared or run ([`Connection::extract`]);
//! - what a statement is, by DuckDB's own classification ([`Prepared::kind`]);
//! - results stream in chunks as Arrow batches, without a copy ([`Prepared::execute`]);
//! - a running statement can be stopped from any thread ([`Interrupter`]);
//! - functions are computed, and tables filled, outside of it ([`Connection::register`], [`Connection::register_table`]);
//! - errors say of what kind they are ([`ErrorKind`]).
//!
//! Invariant: what is unsafe in calling C stays in this crate, and every block of it says why it is sound.
//! Every call here may block: keep it off async executors.
//! See docs/adr/0001-duckdb-c-api.md.

#![warn(missing_docs)]

mod connection;
mod database;
mod error;
mod function;
mod identifier;
mod statement;
mod statement_kind;
mod stream;
mod table_function;
mod text;
mod types;
mod value;

pub use connection::{Connection, Interrupter};
pub use database::{Database, library_version};
pub use error::{Error, ErrorKind};
pub use function::TextFunction;
pub use identifier::{quote_identifier, quote_literal};
pub use statement::{Prepared, Statement};
pub use statement_kind::StatementKind;
pub use stream::{Column, Stream};
pub use table_function::TableFunction;
pub use types::{Member, Type};
pub use value::Value;

/// The folder that libduckdb was linked from, where other files of the same release may lie
/// (httpfs). `None` where DuckDB is built in.
pub const LIB_DIR: Option<&str> = option_env!("DUCK_LIB_DIR");
