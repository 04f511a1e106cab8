//! NDJSON: an object on each line.
//!
//! DuckDB can ignore malformed lines, but turns them into rows of nulls and does not say so. Here
//! a line that is skipped is blanked in the spooled file first, which keeps the numbers of the
//! lines behind it; what is left is then read without leniency.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::json::{columns, misfit, table};
use super::table::Table;
use super::{Failure, Opened, Opening, Rejects, Result, Source};
use crate::error::Error;
use crate::session::Session;

mod sieve;

struct Ndjson {
    // Streams end before their session.
    table: Table,
    session: Session,
    columns: Vec<(String, String)>,
    rejects: Rejects,
    line_bytes_max: u64,
}

pub(super) fn open(session: Session, opening: &Opening<'_>) -> Opened {
    let line_bytes_max = opening.config.line_bytes_max;
    let mut rejects = Rejects::default();
    if opening.skips() {
        sieve::malformed(&session, opening.config, &mut rejects)?;
    }
    let columns = match columns(&session, opening, "newline_delimited") {
        Ok(columns) => columns?,
        Err(error) => return Err(explain(&session, &[], line_bytes_max, error).into()),
    };
    if opening.skips() {
        sieve::misfits(&session, opening.config, &columns, &mut rejects)?;
    }
    match table(&session, opening, "newline_delimited", &columns)? {
        Ok(table) => Ok(Box::new(Ndjson { table, session, columns, rejects, line_bytes_max })),
        Err(error) => Err(explain(&session, &columns, line_bytes_max, error).into()),
    }
}

impl Source for Ndjson {
    fn schema(&self) -> &SchemaRef {
        self.table.schema()
    }

    fn next_batch(&mut self) -> std::result::Result<Option<RecordBatch>, Failure> {
        self.table
            .next_batch()
            .map_err(|error| explain(&self.session, &self.columns, self.line_bytes_max, error).into())
    }

    fn rejects(&mut self) -> Result<Rejects> {
        Ok(std::mem::take(&mut self.rejects))
    }
}

/// The first line that is not an object, else the first value that does not fit its column.
fn explain(session: &Session, columns: &[(String, String)], line_bytes_max: u64, error: duck::Error) -> Error {
    if matches!(error.kind, duck::ErrorKind::Interrupt | duck::ErrorKind::OutOfMemory) {
        return session.refused("json", error);
    }
    let found = match sieve::first_malformed(session, line_bytes_max) {
        Ok(None) => sieve::first_misfit(session, columns, line_bytes_max),
        found => found,
    };
    match found {
        Ok(Some(reject)) => Error::malformed(reject),
        Err(gone @ Error::ClientGone) => gone,
        Ok(None) | Err(_) => misfit(session, error),
    }
}
