//! One JSON array of objects, and what NDJSON shares with it.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use duck::{Column, Type, quote_literal};

use super::table::{Table, Wanted, query};
use super::{Failure, Opened, Opening, Reject, Result, Source};
use crate::column::check_names;
use crate::error::Error;
use crate::session::Session;

struct JsonArray {
    // Streams end before their session.
    table: Table,
    session: Session,
}

pub(super) fn open(session: Session, opening: &Opening<'_>) -> Opened {
    if opening.skips() {
        return Err(Error::invalid("on_error=skip goes with csv and ndjson, not with a JSON array").into());
    }
    let explain = |error| explain(&session, error);
    let columns = columns(&session, opening, "array").map_err(explain)??;
    let table = table(&session, opening, "array", &columns)?.map_err(explain)?;
    Ok(Box::new(JsonArray { table, session }))
}

impl Source for JsonArray {
    fn schema(&self) -> &SchemaRef {
        self.table.schema()
    }

    fn next_batch(&mut self) -> std::result::Result<Option<RecordBatch>, Failure> {
        self.table.next_batch().map_err(|error| explain(&self.session, error).into())
    }
}

fn arguments(session: &Session, opening: &Opening<'_>, format: &str) -> String {
    let object_bytes_max = opening.config.line_bytes_max;
    format!(
        "{}, format='{format}', records=true, compression='uncompressed', maximum_object_size={object_bytes_max}",
        session.file()
    )
}

/// The columns of a file, in the order of the dataset, with the types that they are declared to
/// have or that every one of their values fits.
pub(super) fn columns(
    session: &Session,
    opening: &Opening<'_>,
    format: &str,
) -> std::result::Result<Result<Vec<(String, String)>>, duck::Error> {
    let source = format!("read_json({}, sample_size=-1)", arguments(session, opening, format));
    let found: Vec<Column> = session.describe(&source)?;
    let of: HashMap<&str, &Type> = found.iter().map(|column| (column.name.as_str(), &column.logical_type)).collect();
    let named = || {
        let names: Vec<String> = found.iter().map(|column| column.name.clone()).collect();
        check_names(names.iter().map(String::as_str), opening.config.columns_max)?;
        let order = opening.arrange(&names)?;
        let declared = opening.declared(&order)?;
        let typed = order.into_iter().zip(declared).map(|(name, declared)| {
            let found = || of.get(name.as_str()).map(ToString::to_string);
            let kind = declared.or_else(found).unwrap_or_else(|| "VARCHAR".into());
            (name, kind)
        });
        Ok(typed.collect())
    };
    Ok(named())
}

/// The rows of a file with the given columns.
pub(super) fn table(
    session: &Session,
    opening: &Opening<'_>,
    format: &str,
    columns: &[(String, String)],
) -> Result<std::result::Result<Table, duck::Error>> {
    let list: Vec<_> = columns.iter().map(|(n, t)| format!("{}: {}", quote_literal(n), quote_literal(t))).collect();
    let source = format!("read_json({}, columns={{{}}})", arguments(session, opening, format), list.join(", "));
    let described = match session.describe(&source) {
        Ok(described) => described,
        Err(error) => return Ok(Err(error)),
    };
    let wanted: Vec<_> =
        described.iter().zip(columns).map(|(source, (name, _))| Wanted { source, name: name.as_str() }).collect();
    let sql = query(&source, &wanted)?;
    Ok(Table::run(session, &sql, &wanted))
}

/// Where an array is not JSON a parser of our own knows line and column; where a value does not
/// fit, DuckDB knows the record.
fn explain(session: &Session, error: duck::Error) -> Error {
    if matches!(error.kind, duck::ErrorKind::Interrupt | duck::ErrorKind::OutOfMemory) {
        return session.refused("json", error);
    }
    let checked = File::open(session.path()).map(|file| {
        let reader = BufReader::with_capacity(1 << 20, file);
        serde_json::from_reader::<_, Vec<serde::de::IgnoredAny>>(reader)
    });
    match checked {
        Ok(Err(malformed)) if malformed.line() > 0 => {
            let line = malformed.line() as u64;
            Error::malformed(Reject::at_line(line, format!("the file is no JSON array: {malformed}")))
        }
        _ => misfit(session, error),
    }
}

/// DuckDB's words, with the number of the record where it gives one.
pub(super) fn misfit(session: &Session, error: duck::Error) -> Error {
    use duck::ErrorKind::{Binder, Conversion, Invalid, InvalidInput, ObjectSize, OutOfRange};
    if !matches!(error.kind, Binder | Conversion | Invalid | InvalidInput | ObjectSize | OutOfRange) {
        return session.refused("json", error);
    }
    let words = session.words(&error);
    if words.contains("expected records") {
        return Error::invalid("json: every value must be an object with at least one member");
    }
    let record = words.split_once("record/value ").and_then(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((digits.parse().ok()?, rest.split_once(": ")?.1.to_owned()))
    });
    match record {
        Some((record, reason)) => Error::malformed(Reject::at_record(record, reason)),
        None => Error::invalid(format!("json: {words}")),
    }
}
