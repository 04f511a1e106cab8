//! What all files that DuckDB reads have in common: the query that makes them storable.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use duck::{Column, Stream, quote_identifier};

use super::nullable;
use crate::column::storable;
use crate::error::{Error, Result};
use crate::session::Session;

/// A running query over one file, with its columns as they will be stored.
pub(super) struct Table {
    stream: Stream,
    schema: SchemaRef,
}

/// A column of the source and the name that it gets.
pub(super) struct Wanted<'a> {
    pub(super) source: &'a Column,
    pub(super) name: &'a str,
}

impl<'a> Wanted<'a> {
    /// The columns called `names`, in their order.
    pub(super) fn by_name(columns: &'a [Column], names: &[String]) -> Vec<Self> {
        let columns: HashMap<&str, &Column> = columns.iter().map(|column| (column.name.as_str(), column)).collect();
        let found = names.iter().filter_map(|name| columns.get(name.as_str()));
        found.map(|&source| Wanted { source, name: &source.name }).collect()
    }
}

/// The query that reads the wanted columns of `source`, each cast where Parquet has not its type.
pub(super) fn query(source: &str, wanted: &[Wanted<'_>]) -> Result<String> {
    let column = |wanted: &Wanted<'_>| {
        let (from, name) = (&wanted.source.logical_type, quote_identifier(&wanted.source.name));
        let stored = storable(from).map_err(|unstorable| {
            Error::invalid(format!("column {:?} is {unstorable}, which has no type in Parquet", wanted.name))
        })?;
        Ok(if stored == *from { name } else { format!("CAST({name} AS {stored})") })
    };
    let columns = wanted.iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(format!("SELECT {} FROM {source}", columns.join(", ")))
}

impl Table {
    pub(super) fn run(session: &Session, sql: &str, wanted: &[Wanted<'_>]) -> std::result::Result<Self, duck::Error> {
        let stream = session.stream(sql)?;
        let fields = stream.schema().fields().iter().zip(wanted);
        let schema = Schema::new(fields.map(|(field, wanted)| nullable(wanted.name, field)).collect::<Vec<_>>());
        Ok(Table { stream, schema: Arc::new(schema) })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn next_batch(&mut self) -> std::result::Result<Option<RecordBatch>, duck::Error> {
        self.stream.next_batch()
    }
}
