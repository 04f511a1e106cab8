//! CSV, read by DuckDB: its sniffer finds the dialect, the rows are then read by that dialect and
//! no other.
//!
//! The sniffer is made to please: a file with one ragged row it would rather read as one wide
//! column, or begin below its header. So it is asked to pass over malformed rows and nothing else
//! (`ignore_errors`, no skipping of lines on its own, no comments, the quote of RFC 4180), and what
//! it says is then held against every row.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use duck::quote_literal;

use super::table::{Table, Wanted, query};
use super::{Failure, Opened, Opening, REJECTS_SHOWN, Reject, Rejects, Sample, Source};
use crate::column::check_names;
use crate::error::{Error, Result};
use crate::session::Session;

mod dialect;
mod quotes;
mod rejects;

use dialect::Dialect;

pub(super) struct Csv {
    // Streams end before their session.
    table: Table,
    session: Session,
    /// The table function, but for its end and the way it treats errors.
    reader: String,
    /// With columns whose types the first rows alone decided.
    sampled: bool,
    rejects_max: Option<u64>,
}

pub(super) fn open(session: Session, opening: &Opening<'_>) -> Opened {
    let mut dialect = Dialect::find(&session, opening)?;
    let header = dialect.names(&session, opening)?;
    check_names(header.iter().map(String::as_str), opening.config.columns_max)?;
    let order = opening.arrange(&header)?;
    let declared = opening.declared(&header)?;
    let sampled = opening.sample == Sample::First && declared.iter().any(Option::is_none);
    let types = declared.into_iter().zip(dialect.types()).map(|(declared, found)| declared.unwrap_or(found));
    let columns: Vec<_> = header.iter().cloned().zip(types.map(stored_type)).collect();
    let reader = dialect.reader(&session, opening, &columns);
    let rejects_max = opening.skips().then_some(opening.config.rejects_max);

    let source = format!("{reader}{})", rejects::clause(rejects_max));
    let described = session.describe(&source).map_err(|error| session.refused("csv", error))?;
    let wanted = Wanted::by_name(&described, &order);
    let sql = query(&source, &wanted)?;
    match Table::run(&session, &sql, &wanted) {
        Ok(table) => Ok(Box::new(Csv { table, session, reader, sampled, rejects_max })),
        Err(error) => Err(failure(&session, &reader, sampled && rejects_max.is_none(), error)),
    }
}

/// HUGEINT is read as what it is stored as, so that a value beyond it is an error of its row.
fn stored_type(text: String) -> String {
    match text.trim().to_ascii_uppercase().as_str() {
        "HUGEINT" | "UHUGEINT" | "INT128" | "UINT128" => "DECIMAL(38,0)".into(),
        _ => text,
    }
}

impl Source for Csv {
    fn schema(&self) -> &SchemaRef {
        self.table.schema()
    }

    fn next_batch(&mut self) -> std::result::Result<Option<RecordBatch>, Failure> {
        self.table.next_batch().map_err(|error| {
            let sampled = self.sampled && self.rejects_max.is_none();
            failure(&self.session, &self.reader, sampled, error)
        })
    }

    fn rejects(&mut self) -> Result<Rejects> {
        let Some(rejects_max) = self.rejects_max else { return Ok(Rejects::default()) };
        let count = rejects::count(&self.session)?;
        if count > rejects_max {
            return Err(Error::invalid(format!("over {rejects_max} rows are malformed (rejects_max)")));
        }
        Ok(Rejects { count, shown: rejects::first(&self.session, REJECTS_SHOWN)? })
    }
}

/// A value that does not fit the type that the first rows promised: then all rows decide.
fn failure(session: &Session, reader: &str, sampled: bool, error: duck::Error) -> Failure {
    if sampled && error.message.contains("Error when converting column") {
        return Failure::SampleTooSmall;
    }
    rejects::explain(session, reader, error).into()
}

fn text(value: &str) -> String {
    quote_literal(value)
}
