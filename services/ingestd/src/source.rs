//! A file as a stream of Arrow batches.

mod arrow;
mod csv;
mod json;
mod ndjson;
mod parquet;
mod table;

use std::collections::{HashMap, HashSet};

use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};

use crate::column::type_text;
use crate::config::Config;
use crate::error::{Error, Result, SchemaDifference};
use crate::format::Format;
use crate::reject::{REJECTS_SHOWN, Reject, Rejects};
use crate::request::{IngestRequest, OnError};
use crate::session::Session;

/// The columns of a dataset that is there: (name, DuckDB type).
pub(crate) type Columns = Vec<(String, String)>;

/// How much of a file decides on the types of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sample {
    /// Its first rows: quick, and right for most files.
    First,
    /// Every row: after a value did not fit what the first rows promised.
    Whole,
}

/// What a source is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) config: &'a Config,
    pub(crate) request: &'a IngestRequest,
    /// Of the dataset, where rows are to be added to it or to replace it.
    pub(crate) existing: Option<&'a Columns>,
    pub(crate) sample: Sample,
}

impl Opening<'_> {
    fn skips(&self) -> bool {
        self.request.on_error == OnError::Skip
    }

    /// Refuses what formats that carry their own types have no use for.
    fn self_describing(&self, format: &str) -> Result<()> {
        if self.skips() {
            return Err(Error::invalid(format!("on_error=skip goes with csv and ndjson, not with {format}")));
        }
        if !self.request.types.is_empty() {
            return Err(Error::invalid(format!("types goes with csv and JSON, not with {format}")));
        }
        Ok(())
    }

    /// The declared types of `names`, by the dataset or by the caller; what is left to find out is
    /// `None`.
    fn declared(&self, names: &[String]) -> Result<Vec<Option<String>>> {
        let there: HashSet<&String> = names.iter().collect();
        let overrides = &self.request.types;
        if let Some((unknown, _)) = overrides.iter().find(|(name, _)| !there.contains(name)) {
            return Err(Error::invalid(format!("types: the file has no column {unknown:?}")));
        }
        let declared = overrides.iter().chain(self.existing.into_iter().flatten());
        // Of two the later one holds: the dataset's.
        let declared: HashMap<&String, &String> = declared.map(|(name, kind)| (name, kind)).collect();
        Ok(names.iter().map(|name| declared.get(name).map(|&kind| kind.clone())).collect())
    }

    /// Puts the columns of a file in the order of the dataset, by name.
    ///
    /// # Errors
    /// 409 naming those that only one of them has.
    fn arrange(&self, names: &[String]) -> Result<Vec<String>> {
        let Some(existing) = self.existing else { return Ok(names.to_vec()) };
        let (here, there): (HashSet<&String>, HashSet<&String>) =
            (names.iter().collect(), existing.iter().map(|(name, _)| name).collect());
        let difference = SchemaDifference {
            missing: existing.iter().map(|(name, _)| name).filter(|name| !here.contains(name)).cloned().collect(),
            extra: names.iter().filter(|name| !there.contains(name)).cloned().collect(),
            types: Vec::new(),
        };
        self.conclude(difference)?;
        Ok(existing.iter().map(|(name, _)| name.clone()).collect())
    }

    /// Checks that what is about to be stored is what the dataset holds.
    pub(crate) fn check(&self, schema: &SchemaRef) -> Result<()> {
        let Some(existing) = self.existing else { return Ok(()) };
        let mut difference = SchemaDifference::default();
        for (field, (name, there)) in schema.fields().iter().zip(existing) {
            let here = type_text(field)?;
            if here != *there {
                difference.types.push((name.clone(), there.clone(), here));
            }
        }
        self.conclude(difference)
    }

    fn conclude(&self, difference: SchemaDifference) -> Result<()> {
        if difference.is_empty() {
            return Ok(());
        }
        let name = self.request.name.as_str().to_owned();
        Err(Error::Schema { name, difference: Box::new(difference) })
    }
}

/// Why a source has no next batch.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Open it again with [`Sample::Whole`].
    SampleTooSmall,
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Final(error)
    }
}

/// An open file.
pub(crate) trait Source: Send {
    /// As it will be stored, without field ids.
    fn schema(&self) -> &SchemaRef;

    /// The next rows; `None` after the last.
    fn next_batch(&mut self) -> std::result::Result<Option<RecordBatch>, Failure>;

    /// The rows that were skipped; after the last batch.
    fn rejects(&mut self) -> Result<Rejects> {
        Ok(Rejects::default())
    }
}

/// A source, or why there is none.
pub(crate) type Opened = std::result::Result<Box<dyn Source>, Failure>;

/// Opens the file of a session.
pub(crate) fn open(format: Format, session: Session, opening: &Opening<'_>) -> Opened {
    match format {
        Format::Csv => csv::open(session, opening),
        Format::Ndjson => ndjson::open(session, opening),
        Format::JsonArray => json::open(session, opening),
        Format::Parquet => parquet::open(session, opening),
        Format::ArrowStream => arrow::open(session.path(), arrow::Container::Stream, opening),
        Format::ArrowFile => arrow::open(session.path(), arrow::Container::File, opening),
    }
}

fn nullable(name: &str, field: &Field) -> Field {
    Field::new(name, field.data_type().clone(), true)
}
